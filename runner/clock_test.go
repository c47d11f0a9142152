package runner

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// jumping is a clock that is set to another time whenever it is read, forwards
// and backwards by days, as one is that two programs put right.
func jumping() func() time.Time {
	start, jumps, read := time.Now(), []time.Duration{0, 50 * time.Hour, -50 * time.Hour, time.Second, -9000 * time.Hour, 9000 * time.Hour}, 0
	return func() time.Time {
		read++
		return start.Add(jumps[read%len(jumps)])
	}
}

// The clock is set while a run is under way: what was done, what is to be done
// and how long it took are none of the clock's business.
func TestClockThatJumpsInsideASessionIsOnlyATime(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"run", "rollback"} {
		b := newBench(t, halting())
		b.options.Clock = jumping()
		b.world.when("c", fails(errors.New("no luck")))
		b.expect(b.run(t.Context()), journal.Failed, "a", "ab", "g", "c")
		b.world.when("c", nil)
		if verb == "run" {
			b.expect(b.run(t.Context()), journal.Done, "g", "c", "d")
		} else {
			b.expect(b.rollback(t.Context()), journal.RolledBack, "r2", "r1")
		}
		run := b.events[0].Run
		events, err := b.options.Store.Read(t.Context(), run)
		if err != nil || len(events) != len(b.events) {
			t.Fatalf("%s: of %d events the journal has %d that fit: %v", verb, len(b.events), len(events), err)
		}
		if slices.IsSortedFunc(events, func(a, b journal.Event) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("%s: the clock did not jump", verb)
		}
		for _, e := range events {
			if e.DurationMS < 0 || e.DowntimeMS < 0 || e.DurationMS > time.Minute.Milliseconds() {
				t.Errorf("%s: event %d says that something took %d ms", verb, e.Seq, e.DurationMS)
			}
		}
		if state := b.run(t.Context()); state.Run <= run && verb == "rollback" {
			t.Errorf("run %s does not come after %s", state.Run, run)
		}
	}
}
