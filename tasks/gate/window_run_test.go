package gate

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A deed is a task that counts its calls, and fails while it is told to.
type deed struct {
	calls *int
	fails *bool
}

type deedDone struct{}

func (d *deed) Check(context.Context, *task.Env) error { return nil }

func (d *deed) Run(context.Context, *task.Env) (deedDone, error) {
	*d.calls++
	if *d.fails {
		return deedDone{}, errors.New("no luck")
	}
	return deedDone{}, nil
}

// A run waits for its window, looks again whenever it is called, also half way
// through the phase, and asks for the time that the phase's downtime may take.
func TestARunBeginsItsPhaseInTheWindowOnly(t *testing.T) {
	t.Parallel()
	var now time.Time
	calls, fails := 0, true
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(`
version: 1
name: windowed
probes: [{ name: api, url: "http://127.0.0.1:1/health", every: 1h }]
phases:
  - name: change
    downtime: 30m
    irreversible: it is a toy
    gates:
      - { id: window, task: gate/window, with: { zone: Europe/Berlin, windows: [{ days: [tuesday], from: "22:00", to: "04:00" }] } }
    steps:
      - { id: act, task: toy/act }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, findings, err := plan.Load(path, task.NewSet(
		task.Gate("gate/window", &Window{clock: func() time.Time { return now }}),
		task.Of("toy/act", &deed{&calls, &fails}),
	))
	if err != nil || p == nil {
		t.Fatalf("%v %v", findings, err)
	}
	o := runner.Options{Store: journal.NewDir(t.TempDir()), Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		at     string
		fails  bool
		status journal.Status
		calls  int // so far
		says   string
	}{
		{at: "2026-11-23T12:00:00+01:00", status: journal.Waiting, says: "the next window opens at Tuesday 2026-11-24 22:00 CET"},
		{at: "2026-11-25T03:45:00+01:00", status: journal.Waiting, says: "the window closes at Wednesday 2026-11-25 04:00 CET (2026-11-25 03:00 UTC), in 15m0s, and 30m0s are needed"},
		{at: "2026-12-01T22:00:00+01:00", fails: true, status: journal.Failed, calls: 1, says: "no luck"},
		{at: "2026-12-02T03:31:00+01:00", status: journal.Waiting, calls: 1, says: "are needed"},
		{at: "2026-12-08T22:00:00+01:00", status: journal.Done, calls: 2},
	} {
		if now, err = time.Parse(time.RFC3339, c.at); err != nil {
			t.Fatal(err)
		}
		fails = c.fails
		state, err := runner.Run(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		if state.Status != c.status || calls != c.calls || !strings.Contains(state.Reason, c.says) {
			t.Errorf("at %s: %s after %d calls: %s", c.at, state.Status, calls, state.Reason)
		}
		var saw Opening
		if err := json.Unmarshal(state.Step("window").Receipt, &saw); err != nil || saw.Now != now.UTC().Format(time.RFC3339) {
			t.Errorf("at %s: the journal has the receipt %+v: %v", c.at, saw, err)
		}
	}
}
