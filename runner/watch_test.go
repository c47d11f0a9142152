package runner

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

const probed = `
version: 1
name: toy
env:
  URL: {}
probes:
  - { name: api, url: "${{ env.URL }}", every: 10ms }
phases:
  - name: p1
    downtime: BUDGET
    on_failure: rollback
    steps:
      - { id: stop, task: toy/do, with: { name: stop } }
      - { id: start, task: toy/do, with: { name: start } }
    rollback:
      - { id: back, task: toy/do, with: { name: back } }
`

// outageBench is a plan whose step stop takes a real server away for at least
// the given time, and whose step start brings it back.
func outageBench(t *testing.T, budget string, away time.Duration) *bench {
	t.Helper()
	var down atomic.Bool
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	b := newBench(t, strings.ReplaceAll(probed, "BUDGET", budget))
	b.env(map[string]string{"URL": server.URL})
	b.world.when("stop", func(ctx context.Context, _ *task.Env) error {
		down.Store(true)
		select {
		case <-time.After(away):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	back := func(ctx context.Context, _ *task.Env) error {
		down.Store(false)
		for from := asked.Load(); asked.Load() < from+3; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
		return nil
	}
	b.world.when("start", back)
	b.world.when("back", back)
	return b
}

func TestDowntimeIsWhatTheProbesSaw(t *testing.T) {
	const away = 100 * time.Millisecond
	b := outageBench(t, "10s", away)
	state := b.run(t.Context())
	b.expect(state, journal.Done, "stop", "start")
	seen := time.Duration(state.Phase("p1").DowntimeMS) * time.Millisecond
	if seen < away-30*time.Millisecond || seen > 10*away {
		t.Errorf("downtime seen is %s, the service was away for about %s", seen, away)
	}
	if e := b.event(journal.Outage, ""); e.Probe != "api" || !e.To.After(e.From) {
		t.Errorf("outage %+v", e)
	}
}

func TestDowntimeOverItsBudgetFailsThePhaseAtOnce(t *testing.T) {
	b := outageBench(t, "50ms", time.Hour)
	state := b.run(t.Context())
	b.expect(state, journal.RolledBack, "stop", "back")
	failed := b.event(journal.StepFinished, "stop")
	if failed.Status != journal.Failed || !strings.Contains(failed.Reason, ErrOverBudget.Error()) {
		t.Errorf("stop is %s: %s", failed.Status, failed.Reason)
	}
}

func TestPhaseWithoutDowntimeHasNone(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("d", fails(errors.New("no luck")))
	state := b.run(t.Context())
	for _, phase := range state.Phases {
		if phase.DowntimeMS != 0 {
			t.Errorf("%s has %d ms of downtime and no probe", phase.Name, phase.DowntimeMS)
		}
	}
}
