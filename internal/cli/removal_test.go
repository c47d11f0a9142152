package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// keyOpens tells what the API answers to the key of the account made for tests.
func (s *stage) keyOpens() int {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.box.Env()["API_URL"]+"/api/me", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("X-API-Key", s.box.Env()["TEST_API_KEY"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
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
	if status := s.keyOpens(); status != http.StatusOK {
		t.Fatalf("the key is answered with %d before", status)
	}
	if output := s.phasegate(ExitWaiting, "run", s.plan); !strings.Contains(output, `result="ok"}[3s])) is 1, more than 0`) {
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
