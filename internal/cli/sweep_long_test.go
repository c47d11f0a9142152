package cli

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner/journal"
)

// A tally is what a long sweep has tried, on all its sandboxes.
type tally struct {
	mu      sync.Mutex
	began   time.Time
	runs    int          // that were killed
	backs   int          // rollbacks that were killed
	turns   map[bool]int // rollbacks so far, of runs that had been resumed and of others
	deaths  map[death]bool
	longest int // rollback, in events
}

// atLength skips the test where the long ones are not asked for.
func atLength(t *testing.T) *tally {
	t.Helper()
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("long: run by make soak")
	}
	return &tally{began: time.Now(), turns: map[bool]int{}, deaths: map[death]bool{}}
}

// turn is the next death of a rollback, of as many as there are.
func (y *tally) turn(resumed bool, events int) death {
	y.mu.Lock()
	defer y.mu.Unlock()
	i := y.turns[resumed]
	y.turns[resumed]++
	return numbered([]string{"before", "after"}[i%2], i/2%events+1)
}

func (y *tally) add(run, back bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if run {
		y.runs++
	}
	if back {
		y.backs++
	}
}

func (y *tally) report(t *testing.T) {
	if !t.Failed() {
		t.Logf("tried %d points of runs and %d of rollbacks in %v, none failed", y.runs, y.backs, time.Since(y.began).Round(time.Second))
	}
}

// beside runs the same on several sandboxes at a time.
func beside(t *testing.T, do func(t *testing.T, number, of int)) {
	t.Helper()
	sandboxes := min(runtime.GOMAXPROCS(0), 4)
	t.Run("sandbox", func(t *testing.T) {
		for number := range sandboxes {
			t.Run(strconv.Itoa(number), func(t *testing.T) {
				t.Parallel()
				do(t, number, sandboxes)
			})
		}
	})
}

// The flagship is killed right before and right after every event of its
// journal, each time once to be resumed and once to be rolled back; and the
// rollback is killed at its own events, one after the other.
func TestSweepEveryEvent(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	beside(t, func(t *testing.T, number, of int) {
		s := newSweep(t, 16).disturbNothing()
		for n := number + 1; s.everyWay(n, y); n += of {
		}
	})
	y.holdsEveryDeath(t)
	y.report(t)
}

// everyWay tries all that can come of a death at event n, and tells whether the
// run was long enough for it.
func (s *sweep) everyWay(n int, y *tally) bool {
	for _, when := range []string{"before", "after"} {
		for _, resume := range []bool{true, false} {
			if resume {
				s.forget()
			}
			died := s.try(numbered(when, n), resume)
			d := y.turn(resume, len(s.rollback))
			back := s.tryRollback(d)
			y.add(died, back)
			if !died {
				return false
			}
			if resume {
				y.saw(d, len(s.rollback))
			}
		}
	}
	return true
}

func (y *tally) saw(d death, events int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.deaths[d] = true
	y.longest = max(y.longest, events)
}

// holdsEveryDeath fails the test unless rollbacks were killed at all their events.
func (y *tally) holdsEveryDeath(t *testing.T) {
	for n := range y.longest {
		for _, when := range []string{"before", "after"} {
			if d := numbered(when, n+1); !y.deaths[d] && !t.Failed() {
				t.Errorf("no rollback was killed %s", d)
			}
		}
	}
}

// A run that fails takes itself back; it is killed at every event of that.
func TestSweepRollbackOfAFailedRun(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	s := newSweep(t, 16)
	s.failAt("tables-added")
	s.does(ExitRolledBack, "run", s.plan)
	s.isRolledBack()
	first := 0
	for _, e := range s.journal() {
		if e.Step == "tables-added" && e.Type == journal.StepStarted {
			first = int(e.Seq)
		}
	}
	for n, died := first-1, true; died; n++ { // an outage may be one event more or less
		for _, when := range []string{"before", "after"} {
			s.begin(s.directory())
			if died = s.dies(numbered(when, n), ExitRolledBack, "run"); died {
				s.endRolledBack()
			}
			s.isRolledBack()
			y.add(died, false)
		}
	}
	y.report(t)
}

// failAt edits the plan so that an assertion in it is never held.
func (s *sweep) failAt(step string) {
	s.Helper()
	text, err := os.ReadFile(s.plan)
	if err != nil {
		s.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), "id: "+step+"\n")
	if !found {
		s.Fatalf("the plan has no step %s", step)
	}
	after = strings.Replace(after, `returns: "`, `returns: "not `, 1)
	if err := os.WriteFile(s.plan, []byte(before+"id: "+step+"\n"+after), 0o600); err != nil {
		s.Fatal(err)
	}
}

// endRolledBack types what status says, which must take the run back.
func (s *sweep) endRolledBack() {
	s.Helper()
	state := s.stands()
	switch {
	case state.Status == journal.RolledBack:
	case state.GoingBack():
		s.goBackOn()
	default:
		s.does(ExitRolledBack, strings.Fields(next(state))[1:]...)
	}
}

// With the journal in PostgreSQL a rollback is killed at every event, and each
// time completed by another machine.
func TestSweepRollbackGoesOnOnAnotherMachine(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	s := newSweep(t, 16)
	s.begin(s.database("phasegate"))
	for n, died := 1, true; died; n++ {
		for _, when := range []string{"before", "after"} {
			s.point = "not killed"
			s.does(ExitDone, "run", s.plan)
			if died = s.dies(numbered(when, n), ExitDone, "rollback"); died {
				s.move()
				s.goBackOn()
			}
			s.isRolledBack()
			y.add(false, died)
		}
	}
	y.report(t)
}

// No process gets further than a few events, and none is on the machine of the
// one before: together they carry the run to its end, and take it back. A phase
// is taken back as a whole, so there each process lives a little longer.
func TestSweepEveryProcessDies(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	s := newSweep(t, 16).disturbNothing()
	s.forget()
	s.begin(s.database("phasegate"))
	const lifetime = 9 // in events: enough for a phase's gate and one step
	for s.dies(numbered("after", lifetime), ExitDone, "run") {
		if y.add(true, false); y.runs > 100 {
			t.Fatalf("it does not get on:%s", s.told())
		}
		s.move()
	}
	s.isAfter()
	for n := 1; s.stands().Status != journal.RolledBack && s.dies(numbered("after", n), ExitDone, "rollback"); n++ {
		y.add(false, true)
		s.move()
	}
	s.isRolledBack()
	y.report(t)
}

// The steps that last are killed in their middle.
func TestSweepRandomMoments(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	const rounds = 4
	forth := []string{
		"backup", "rehearse-schema", "stop-api", "stage", "migrate-schema", "start-api",
		"users", "database-and-tenant", "sample-login",
	}
	back := []string{"stop-again", "put-back", "start-again", "salvage"}
	beside(t, func(t *testing.T, number, _ int) {
		s := newSweep(t, 300).disturbNothing()
		for round := range rounds {
			for i, step := range forth {
				y.add(s.tryMoments(step, back[i%len(back)], (round+i+number)%2 == 0))
			}
		}
	})
	y.report(t)
}

// So are those of the plan that never stops the API.
func TestSweepRandomMomentsOfTheOnlinePlan(t *testing.T) {
	t.Parallel()
	y := atLength(t)
	const rounds = 4
	forth := []string{"backup", "rehearse-schema", "migrate-schema", "restart-a", "restart-b", "users", "database-and-tenant"}
	back := []string{"revert-schema", "restart-a-again", "restart-b-again", "clear-away"}
	beside(t, func(t *testing.T, number, _ int) {
		s := newOnlineSweep(t, 300)
		for round := range rounds {
			for i, step := range forth {
				y.add(s.tryMoments(step, back[(i+round)%len(back)], (round+i+number)%2 == 0))
			}
		}
	})
	y.report(t)
}

// newOnlineSweep prepares one of the plan that never stops the API. Its way back
// leaves the history of the schema, so it has been gone once before.
func newOnlineSweep(t *testing.T, users int) *sweep {
	t.Helper()
	s := &sweep{stage: stageOf(t, "auth0-migration-online", sandbox.Options{Users: users, Unmigratable: true, Balanced: true, Plan: auth0.Unlimited}), point: "not killed"}
	s.patiently()
	s.begin(s.directory())
	s.does(ExitDone, "run", s.plan)
	s.does(ExitDone, "rollback", s.plan)
	s.before = s.contents()
	return s.disturbNothing()
}

// tryMoments kills a run within a step and its rollback within another. It tells
// which of the two were still at work.
func (s *sweep) tryMoments(forth, back string, resume bool) (run, rollback bool) {
	s.Helper()
	if resume {
		s.forget()
	}
	s.begin(s.directory())
	run = s.diesIn(forth, momentOf(s.run, forth), "run")
	if resume {
		s.goOn()
		s.isAfter()
	}
	if state := s.stands(); !state.Changed() {
		s.takeBack()
		return run, false
	}
	if rollback = s.diesIn(back, momentOf(s.rollback, back), "rollback"); rollback {
		s.goBackOn()
	}
	s.isRolledBack()
	return run, rollback
}

// momentOf is a random moment of a step, by the time that it took before.
func momentOf(events []journal.Event, step string) time.Duration {
	for _, e := range events {
		if e.Step == step && e.Type == journal.StepFinished {
			return rand.N(time.Duration(e.DurationMS+1) * time.Millisecond)
		}
	}
	return 0
}
