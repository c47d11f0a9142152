package cli

import (
	"regexp"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// The clock was wrong while a run began, and was put right before it goes on: a
// run is carried on by the order of its events, whatever time they have.
func TestClockThatJumpsBetweenTwoCallsIsOnlyATime(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]time.Duration{"forwards": -26 * time.Hour, "backwards": 26 * time.Hour} {
		for _, verb := range []string{"run", "rollback"} {
			t.Run(name+"/"+verb, func(t *testing.T) {
				t.Parallel()
				y := newToy(t, calm, "exit 1", calm)
				y.calls(ExitFailed, "run", "plan.yaml")
				run := y.run()
				y.shift(run, wrong)
				y.service("second", calm)
				said := y.calls(ExitDone, verb, "plan.yaml") + y.output("status") + y.output("status", run)
				if negative := regexp.MustCompile(`-[0-9.]+(ms|s|m|h)`).FindString(said); negative != "" {
					t.Errorf("it says that something took %s:\n%s", negative, said)
				}
				y.output("audit", run)
				y.inOrder()
			})
		}
	}
}

// shift puts the times of a run's events off, as a wrong clock would have.
func (y *toy) shift(run string, by time.Duration) {
	y.Helper()
	place := y.path("phasegate-runs")
	events, err := journal.NewDir(place).Read(y.Context(), run)
	if err != nil {
		y.Fatal(err)
	}
	for i := range events {
		events[i].Time, events[i].Prev = events[i].Time.Add(by), ""
	}
	shifted := journal.NewDir(y.path("shifted"))
	w, err := shifted.Create(y.Context(), run)
	if err != nil {
		y.Fatal(err)
	}
	if _, err := w.Append(y.Context(), events...); err != nil {
		y.Fatal(err)
	}
	if err := w.Close(); err != nil {
		y.Fatal(err)
	}
	y.environ = append(y.environ, "PHASEGATE_JOURNAL="+y.path("shifted"))
}

// inOrder holds that the next run comes after the ones there are.
func (y *toy) inOrder() {
	y.Helper()
	store := journal.NewDir(y.path("shifted"))
	before, err := store.Runs(y.Context())
	if err != nil {
		y.Fatal(err)
	}
	y.calls(ExitDone, "run", "plan.yaml")
	after, err := store.Runs(y.Context())
	if err != nil || len(after) != len(before)+1 || after[0] != before[0] {
		y.Errorf("the runs were %v and are %v, %v", before, after, err)
	}
}
