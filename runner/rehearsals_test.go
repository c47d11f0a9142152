package runner

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// rehearsed carries the bench's plan out as a rehearsal, to its end or back.
func (b *bench) rehearsed(back bool) *journal.State {
	b.t.Helper()
	o := b.options
	o.Rehearsal = true
	if back {
		b.world.when("d", fails(errors.New("no luck")))
		defer b.world.when("d", nil)
	}
	state, err := Run(b.t.Context(), b.plan, o)
	if err == nil && back {
		state, err = Rollback(b.t.Context(), b.plan, o)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.world.called()
	return state
}

func TestRehearsalIsNeitherGoneOnWithNorTakenBack(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("d", fails(errors.New("no luck")))
	rehearsing := b.options
	rehearsing.Rehearsal = true
	left, err := Run(t.Context(), b.plan, rehearsing)
	if err != nil || left.Status != journal.Failed || !left.Rehearsal {
		t.Fatalf("%+v, %v", left, err)
	}
	b.world.called()
	if _, err := Rollback(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Errorf("rollback: %v", err)
	}
	named := b.options
	named.Run = left.Run
	if _, err := Run(t.Context(), b.plan, named); !isRefused(err) {
		t.Errorf("run by its name: %v", err)
	}
	b.world.when("d", nil)
	state := b.run(t.Context())
	b.expect(state, journal.Done, "a", "ab", "g", "c", "d")
	if state.Run == left.Run || state.Rehearsal {
		t.Errorf("the run is %+v", state)
	}
}

func TestGateIsToldOfTheRehearsalsOfItsPlanWhoseJournalsFit(t *testing.T) {
	b := newBench(t, halting())
	back, done := b.rehearsed(true), b.rehearsed(false)
	if back.Status != journal.RolledBack || done.Status != journal.Done {
		t.Fatalf("%s, %s", back.Status, done.Status)
	}
	var found []task.Rehearsal
	b.world.when("g", func(ctx context.Context, env *task.Env) (err error) {
		if env.Rehearsing || env.PlanFile != b.path || env.Basis.Digest != b.plan.Digest {
			t.Errorf("%+v", env)
		}
		found, err = env.Rehearsals(ctx)
		return err
	})
	b.expect(b.run(t.Context()), journal.Done, "a", "ab", "g", "c", "d")
	if len(found) != 2 || found[0].Run != done.Run || found[0].Status != "done" || !found[0].Ended.Equal(done.LastSeen) ||
		found[1].Run != back.Run || found[1].Status != "rolled_back" || found[1].Digest != b.plan.Digest || !found[0].Worked || !found[1].Worked || found[1].Damage != "" {
		t.Errorf("%+v", found)
	}

	b.alter(back.Run)
	b.run(t.Context())
	if len(found) != 2 || !strings.Contains(found[1].Damage, "is damaged at event") || found[0].Damage != "" {
		t.Errorf("altered: %+v", found)
	}
}

// A rehearsal that failed at its first change shows little of the way back.
func TestGateIsToldWhetherARehearsalDidAPhaseBeforeItWasTakenBack(t *testing.T) {
	b := newBench(t, halting())
	o := b.options
	o.Rehearsal = true
	b.world.when("ab", fails(errors.New("no luck")))
	if _, err := Run(t.Context(), b.plan, o); err != nil {
		t.Fatal(err)
	}
	if _, err := Rollback(t.Context(), b.plan, o); err != nil {
		t.Fatal(err)
	}
	found, err := rehearsals(t.Context(), b.options.Store, b.plan.Name)
	if err != nil || len(found) != 1 || found[0].Status != "rolled_back" || found[0].Worked {
		t.Errorf("%+v, %v", found, err)
	}
}

// An altered rehearsal closes its gate. It does not keep the plan from being run.
func TestAlteredRehearsalDoesNotStandInTheWayOfARun(t *testing.T) {
	b := newBench(t, halting())
	b.alter(b.rehearsed(true).Run)
	b.expect(b.run(t.Context()), journal.Done, "a", "ab", "g", "c", "d")
}

// A damaged journal of another plan in the same directory stops neither a run nor
// a rollback. One of the same plan does, and says how to go on beside it.
func TestDamagedJournalStandsInTheWayOfItsOwnPlanOnly(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("d", fails(errors.New("no luck")))
	mine := b.run(t.Context()).Run
	b.world.when("d", nil)

	name := b.plan.Name
	b.plan.Name = "another"
	b.world.when("d", fails(errors.New("no luck")))
	other := b.run(t.Context()).Run
	b.world.when("d", nil)
	b.alter(other)
	_, err := Rollback(t.Context(), b.plan, b.options)
	if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(task.HintOf(err), "--run") {
		t.Fatalf("error %v, hint %q", err, task.HintOf(err))
	}

	b.plan.Name = name
	state, err := Rollback(t.Context(), b.plan, b.options)
	if err != nil || state.Run != mine || state.Status != journal.RolledBack {
		t.Fatalf("state %+v, error %v", state, err)
	}
}

// Whose run it is, its first event says, and the second one vouches for that: a
// journal whose first event was altered might be any plan's, and is not passed over.
func TestJournalWhoseFirstEventWasAlteredStandsInTheWay(t *testing.T) {
	for name, edit := range map[string][2]string{
		"another plan": {`"plan":"toy"`, `"plan":"joy"`},
		"a rehearsal":  {`"digest":`, `"rehearsal":true,"digest":`},
	} {
		b := newBench(t, halting())
		b.world.when("d", fails(errors.New("no luck")))
		b.replace(b.run(t.Context()).Run, edit[0], edit[1])
		b.world.called()
		for verb, do := range map[string]func(context.Context, *plan.Plan, Options) (*journal.State, error){"run": Run, "rollback": Rollback} {
			if _, err := do(t.Context(), b.plan, b.options); err == nil || !strings.Contains(err.Error(), "is damaged at event 2") {
				t.Errorf("%s beside a journal turned into that of %s: %v", verb, name, err)
			}
		}
		if calls := b.world.called(); len(calls) > 0 {
			t.Errorf("beside a journal turned into that of %s it did %v", name, calls)
		}
	}
}

// alter makes a run's journal say that something was done which had failed.
func (b *bench) alter(run string) { b.replace(run, `"status":"failed"`, `"status":"done"`) }

// replace replaces the first occurrence of a text in a run's journal.
func (b *bench) replace(run, old, now string) {
	b.t.Helper()
	path := filepath.Join(b.options.Dir, run, journal.FileName)
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	altered := bytes.Replace(text, []byte(old), []byte(now), 1)
	if err := os.WriteFile(path, altered, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
