package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// get asks an address, with that API key if there is one.
func (s *stage) get(address, key string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	if key != "" {
		request.Header.Set("X-API-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// keyOpens tells what the API answers to the key of the account made for tests.
func (s *stage) keyOpens() int {
	s.Helper()
	status, _, err := s.get(s.box.Env()["API_URL"]+"/api/me", s.box.Env()["TEST_API_KEY"])
	if err != nil {
		s.Error(err)
	}
	return status
}

// keyInUse uses that key until stop is called, and returns once the metrics tell
// of it: neither a late scrape nor a slow machine hides it from the gate.
func (s *stage) keyInUse() (stop func()) {
	s.Helper()
	const pause = 20 * time.Millisecond
	done := make(chan struct{})
	var user sync.WaitGroup
	user.Go(func() {
		for ; ; time.Sleep(pause) {
			select {
			case <-done:
				return
			default:
			}
			if status := s.keyOpens(); status != http.StatusOK {
				s.Errorf("the key is answered with %d before", status)
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); user.Wait() })
	s.Cleanup(stop) // also where the test ends before it calls it
	env := s.box.Env()
	query := `sum(increase(medlogistics_auth_attempts_total{method="api_key",result="ok"}[` + env["KEYS_UNUSED_FOR"] + `]))`
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(pause) {
		_, body, err := s.get(env["METRICS_URL"]+"/api/v1/query?query="+url.QueryEscape(query), "")
		if err == nil && bytes.Contains(body, []byte(`"value"`)) && !bytes.Contains(body, []byte(`,"0"]`)) {
			return stop
		}
		if time.Now().After(deadline) {
			s.Fatalf("the metrics do not tell that the key is used: %s, error %v", body, err)
		}
	}
}

// goesOn calls run until it does not wait any more, as a scheduler would.
func (s *stage) goesOn() {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		cmd := s.command(s.Context(), "run", s.plan)
		output, err := cmd.CombinedOutput()
		if err == nil {
			return
		}
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != ExitWaiting || time.Now().After(deadline) {
			s.Fatalf("it does not go on: %v\n%s", err, output)
		}
	}
}

// The keys stay while anybody needs one: a user without a password of their own,
// or somebody who has used one lately. Afterwards none opens anything, and the
// rollback brings them back and keeps what was written meanwhile.
func TestKeysAreTakenAwayWhenNobodyNeedsThemAndComeBack(t *testing.T) {
	t.Parallel()
	s := stageOf(t, "auth0-migration", sandbox.Options{Users: 40, Unmigratable: true, Plan: auth0.Unlimited, Watched: true})
	s.phasegate(ExitDone, "run", s.plan)
	s.plan = unattended(t, "api-key-removal", t.TempDir())
	if output := s.phasegate(ExitWaiting, "run", s.plan); !strings.Contains(output, "have not set a password") {
		t.Errorf("it waits for another reason:\n%s", output)
	}
	if err := s.box.SetPasswords(); err != nil {
		t.Fatal(err)
	}
	before := s.contents()
	stop := s.keyInUse()
	output := s.phasegate(ExitWaiting, "run", s.plan)
	stop()
	if !regexp.MustCompile(`result="ok"}\[3s\]\)\) is \d+, more than 0`).MatchString(output) {
		t.Errorf("it waits for another reason:\n%s", output)
	}
	s.goesOn()
	if status := s.keyOpens(); status != http.StatusUnauthorized {
		t.Errorf("the key is answered with %d afterwards", status)
	}
	s.execute("insert into drugs (name, form, strength) values ('Salvaged', 'tablet', '5 mg')")
	s.phasegate(ExitDone, "rollback", s.plan)
	if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
		t.Errorf("the rollback did not restore:\n%s", strings.Join(differences, "\n"))
	}
	if status := s.keyOpens(); status != http.StatusOK {
		t.Errorf("the key is answered with %d after the rollback", status)
	}
	found, err := filepath.Glob(filepath.Join(s.dir, "phasegate-runs", "*", "salvage-*.ndjson"))
	found = slices.DeleteFunc(found, func(path string) bool {
		return strings.HasSuffix(path, "-dropped.ndjson") || strings.HasSuffix(path, "-unsure.ndjson")
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("files of the salvage: %v, %v", found, err)
	}
	if text, err := os.ReadFile(found[0]); err != nil || bytes.Count(text, []byte("\n")) != 2 || !bytes.Contains(text, []byte(`"name":"Salvaged"`)) {
		t.Errorf("%s holds:\n%s, error %v", found[0], text, err)
	}
}

// Every plan that ships is valid without a warning, and run by a test.
func TestEveryPlanThatShipsIsValidAndRun(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../plans/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".yaml"))
		if output, code := validate(t, Surroundings{}, path); code != ExitDone || strings.Contains(output, "warning") {
			t.Errorf("%s: %d\n%s", path, code, output)
		}
	}
	slices.Sort(names)
	// TestKeysAreTakenAway..., TestWholeCutOver..., TestNobodyNotices..., TestAnEmptyTenant...
	// and TestEverybodyIsMailed... run these.
	if run := []string{"api-key-removal", "auth0-migration", "auth0-migration-online", "auth0-tenant", "password-resets"}; !slices.Equal(names, run) {
		t.Errorf("the plans are %v: write a test for each that runs it and its rollback", names)
	}
}
