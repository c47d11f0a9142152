package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
)

// A ward is people at work: a hundred times a second somebody looks something up
// and a nurse writes down what was given. It counts what was answered.
type ward struct {
	s          *stage
	key, order string

	mu       sync.Mutex
	failures []string
	reads    int
	written  int           // administrations that the API said it has
	longest  time.Duration // of one request
	answered time.Time     // when a request was last answered as it should be
	gap      time.Duration // the longest time between two such answers
}

// atWork has the ward work until stop is called.
func (s *stage) atWork() (w *ward, stop func()) {
	s.Helper()
	w = &ward{s: s}
	conn := s.connect()
	err := conn.QueryRow(s.Context(), `select (select api_key from users where role = 'nurse' and is_active limit 1),
		(select id::text from medication_orders limit 1)`).Scan(&w.key, &w.order)
	if err != nil {
		s.Fatal(err)
	}
	_ = conn.Close(s.Context())
	ctx, cancel := context.WithCancel(s.Context())
	var working sync.WaitGroup
	client := &http.Client{Timeout: 30 * time.Second} // a busy machine is slow, and answers all the same
	given, _ := json.Marshal(map[string]string{"order_id": w.order})
	people := make(chan struct{}, 40) // who waits for an answer asks nothing else
	ask := func(method, path string, body []byte, want int) {
		select {
		case people <- struct{}{}:
			working.Go(func() { w.request(client, method, path, body, want); <-people })
		default:
		}
	}
	working.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			ask("GET", "/api/me", nil, http.StatusOK)
			ask("POST", "/api/administrations", given, http.StatusCreated)
		}
	})
	return w, func() { cancel(); working.Wait() }
}

// request asks once, and notes what became of it.
func (w *ward) request(client *http.Client, method, path string, body []byte, want int) {
	request, err := http.NewRequest(method, w.s.box.Env()["API_URL"]+path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("X-API-Key", w.key)
	began := time.Now()
	response, err := client.Do(request)
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, took)
	if err != nil {
		w.failures = append(w.failures, err.Error())
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	switch {
	case response.StatusCode != want:
		w.failures = append(w.failures, fmt.Sprintf("%s %s: status %d", method, path, response.StatusCode))
	case method == "POST":
		w.written++
	default:
		w.reads++
	}
	if response.StatusCode != want {
		return
	}
	if now := time.Now(); w.answered.IsZero() {
		w.answered = now
	} else if now.After(w.answered) {
		w.gap, w.answered = max(w.gap, now.Sub(w.answered)), now
	}
}

// The plan for a hospital that cannot stop: nobody notices the cut-over, nor the
// way back, and everything that was written in between stays.
func TestNobodyNoticesTheOnlineCutOverNorItsRollback(t *testing.T) {
	t.Parallel()
	users := 40
	if os.Getenv("PHASEGATE_SOAK") != "" {
		users = 5_000
	}
	s := stageOf(t, "auth0-migration-online", sandbox.Options{Users: users, Unmigratable: true, Balanced: true})
	if os.Getenv("PHASEGATE_SOAK") == "" {
		s.patiently()
	}
	count := func() (n int) {
		conn := s.connect()
		defer conn.Close(s.Context())
		if err := conn.QueryRow(s.Context(), "select count(*) from medication_administrations").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// All but the history of the schema, and what the ward writes.
	tables := func() []pg.Table {
		return slices.DeleteFunc(s.contents(), func(table pg.Table) bool {
			return table.Schema == revisions || table.Name == "medication_administrations"
		})
	}
	before, content := count(), tables()
	w, stop := s.atWork()
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
	output := s.phasegate(ExitDone, "rollback", s.plan)
	stop()
	if len(w.failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(w.failures), len(w.failures)+w.reads+w.written, w.failures[0])
	}
	if got := count(); got != before+w.written {
		t.Errorf("%d administrations are there: %d were, and the ward was told of %d more", got, before, w.written)
	}
	if differences := pg.Differences(content, tables()); len(differences) > 0 {
		t.Errorf("the rollback did not restore:\n%s", strings.Join(differences, "\n"))
	}
	if w.written < 20 || w.reads < 20 {
		t.Errorf("the ward was hardly at work: %d reads, %d writes", w.reads, w.written)
	}
	t.Logf("%d reads and %d writes, the longest took %s", w.reads, w.written, w.longest)
	if strings.Contains(output, "salvage") {
		t.Error("there was something to salvage")
	}
}

// patiently gives the plan's time limits a machine that is busy with other tests.
// That nothing fails is held all the same; the limits as they ship are the soak's.
func (s *stage) patiently() {
	s.Helper()
	text, err := os.ReadFile(s.plan)
	if err != nil {
		s.Fatal(err)
	}
	for limit, patient := range map[string]string{
		"downtime: 1s":     "downtime: 2m",
		"every: 200ms":     "every: 200ms\n      timeout: 30s",
		"window_ms < 1000": "window_ms < 60000",
		"max_latency: 2s":  "max_latency: 30s",
	} {
		if !bytes.Contains(text, []byte(limit)) {
			s.Fatalf("the plan has no %q any more", limit)
		}
		text = bytes.ReplaceAll(text, []byte(limit), []byte(patient))
	}
	if err := os.WriteFile(s.plan, text, 0o600); err != nil {
		s.Fatal(err)
	}
}
