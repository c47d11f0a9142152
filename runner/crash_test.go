package runner

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// A process that is killed leaves a prefix of the journal. From every prefix
// the next call goes on to the end, and runs no step again that is done in it.
func TestRunThatDiedAfterAnyEventGoesOn(t *testing.T) {
	whole := newBench(t, halting())
	sweep(t, whole, whole.run(t.Context()), func(t *testing.T, b *bench, done []string) {
		state := b.run(t.Context())
		if state.Status != journal.Done {
			t.Fatalf("status = %s: %s", state.Status, state.Reason)
		}
		ran := b.world.called()
		for _, step := range []string{"a", "ab", "c", "d"} {
			if slices.Contains(ran, step) == slices.Contains(done, step) {
				t.Errorf("%s: done before is %v, run again is %v", step, slices.Contains(done, step), slices.Contains(ran, step))
			}
		}
	})
}

func TestRunThatDiedAfterAnyEventIsRolledBack(t *testing.T) {
	whole := newBench(t, halting())
	sweep(t, whole, whole.run(t.Context()), func(t *testing.T, b *bench, _ []string) {
		state, err := Rollback(t.Context(), b.plan, b.options)
		if isRefused(err) && len(b.world.called()) == 0 {
			return // no step had started: there is nothing to take back
		}
		if err != nil || state.Status != journal.RolledBack {
			t.Fatalf("rollback: %v, %v", state, err)
		}
		if ran := b.world.called(); !slices.Contains(ran, "r1") {
			t.Errorf("p1 had started and was not taken back: %v", ran)
		}
	})
}

func TestRollbackThatDiedAfterAnyEventIsCompleted(t *testing.T) {
	whole := newBench(t, rollingBack())
	whole.world.when("d", fails(errors.New("no luck")))
	sweep(t, whole, whole.run(t.Context()), func(t *testing.T, b *bench, _ []string) {
		b.world.when("d", fails(errors.New("no luck")))
		state, err := Rollback(t.Context(), b.plan, b.options)
		if isRefused(err) {
			return // nothing had started, or everything was back already
		}
		if err != nil || state.Status != journal.RolledBack {
			t.Fatalf("rollback: %+v, %v", state, err)
		}
		ran := b.world.called()
		for _, phase := range before(t, b).Phases {
			for _, hook := range phase.Steps {
				if phase.Rollback == journal.Done && slices.Contains(ran, hook.ID) {
					t.Errorf("%s was back and its hook %s was called again", phase.Name, hook.ID)
				}
			}
		}
	})
}

// before is the state that the prefix leads to: the first session's.
func before(t *testing.T, b *bench) *journal.State {
	t.Helper()
	runs, err := b.options.Store.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events, err := b.options.Store.Read(t.Context(), runs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if i > 0 && e.Type == journal.Opened {
			return journal.Fold(events[:i])
		}
	}
	t.Fatal("nothing was taken up")
	return nil
}

// Once a process has the run to roll it back, nobody is told to go on with it.
func TestRollbackThatDiedAsItBeganIsStillOne(t *testing.T) {
	b := newBench(t, halting())
	run := b.run(t.Context()).Run
	store := b.options.Store
	b.options.Store = &brokenStore{Store: store, works: 1}
	if _, err := Rollback(t.Context(), b.plan, b.options); err == nil {
		t.Fatal("the rollback needed one append only")
	}
	b.options.Store = store
	state, err := Status(t.Context(), store, run)
	if err != nil || state.Status != journal.RollingBack {
		t.Errorf("status = %+v, %v", state, err)
	}
	b.world.called()
	b.expect(b.rollback(t.Context()), journal.RolledBack, "r2", "r3-d", "r1")
}

// A step that died may have saved something other than its receipt, or a receipt
// that is not filled in yet. A hook is called if it can be made of that.
func TestHookOfAStepThatDidNotComeToItIsPassedOver(t *testing.T) {
	for _, test := range []struct {
		saved any
		calls []string
	}{
		{struct{ Planned string }{"soon"}, []string{"r2", "r1"}},
		{toyReceipt{""}, []string{"r2", "r1"}},
		{toyReceipt{"half"}, []string{"r2", "half", "r1"}},
	} {
		b := newBench(t, strings.ReplaceAll(halting(), "r3-$", "$"))
		b.world.when("d", func(_ context.Context, env *task.Env) error {
			if err := env.Save(test.saved); err != nil {
				t.Error(err)
			}
			panic("killed")
		})
		b.run(t.Context())
		b.world.called()
		b.expect(b.rollback(t.Context()), journal.RolledBack, test.calls...)
	}
}

// Where the step got to its end, there is something to take back: a hook that
// cannot be made of its receipt is a failure.
func TestHookThatCannotBeMadeOfAWholeReceiptFails(t *testing.T) {
	b := newBench(t, strings.ReplaceAll(halting(), "r3-$", "$"))
	b.run(t.Context())
	b.world.called()
	b.world.refused = "d"
	b.expect(b.rollback(t.Context()), journal.RollbackIncomplete, "r2", "r1")
}

// sweep calls from for every prefix of a run's journal, each in a bench of its
// own, with the names that are done in the prefix.
func sweep(t *testing.T, whole *bench, state *journal.State, from func(t *testing.T, b *bench, done []string)) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(whole.options.Dir, state.Run, journal.FileName))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	if len(lines) < 10 {
		t.Fatalf("only %d events to sweep", len(lines))
	}
	for n := 1; n < len(lines)-1; n++ { // without the last, closed: then nothing died
		b := newBench(t, string(text))
		dir := filepath.Join(b.options.Dir, state.Run)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, journal.FileName), bytes.Join(lines[:n], nil), 0o600); err != nil {
			t.Fatal(err)
		}
		events, err := b.options.Store.Read(t.Context(), state.Run)
		if err != nil {
			t.Fatal(err)
		}
		from(t, b, doneIn(events))
	}
}

// doneIn names what is done in the events, as the world calls it.
func doneIn(events []journal.Event) []string {
	var done []string
	for _, e := range events {
		if e.Type != journal.StepFinished || e.Status != journal.Done || e.Kind == journal.KindGate {
			continue
		}
		name := e.Step
		switch name {
		case "b":
			name = "ab"
		case "r3":
			name = "r3-d"
		}
		done = append(done, name)
	}
	return done
}

// brokenStore is a store whose journals fail from the nth append on.
type brokenStore struct {
	journal.Store
	works   int
	appends int
}

type brokenWriter struct {
	journal.Writer
	store *brokenStore
}

func (s *brokenStore) Create(ctx context.Context, run string) (journal.Writer, error) {
	w, err := s.Store.Create(ctx, run)
	return &brokenWriter{w, s}, err
}

func (s *brokenStore) Open(ctx context.Context, run string) (journal.Writer, []journal.Event, error) {
	w, events, err := s.Store.Open(ctx, run)
	return &brokenWriter{w, s}, events, err
}

func (w *brokenWriter) Append(ctx context.Context, events ...journal.Event) ([]journal.Event, error) {
	if w.store.appends++; w.store.appends > w.store.works {
		return nil, errors.New("disk full")
	}
	return w.Writer.Append(ctx, events...)
}

func TestNothingIsDoneOnceTheJournalCannotBeWritten(t *testing.T) {
	for works := range 8 {
		b := newBench(t, rollingBack())
		store := &brokenStore{Store: b.options.Store, works: works}
		b.options.Store = store
		_, err := Run(t.Context(), b.plan, b.options)
		if err == nil {
			continue // the run needed no more than this
		}
		starts := 0
		for _, e := range b.events {
			if e.Type == journal.StepStarted {
				starts++
			}
		}
		if ran := b.world.called(); len(ran) != starts {
			t.Errorf("with %d appends, %v ran and %d starts were on disk", works, ran, starts)
		}
	}
}

func TestResultAndNextStartGoToDiskTogether(t *testing.T) {
	b := newBench(t, halting())
	store := &brokenStore{Store: b.options.Store, works: 1000}
	b.options.Store = store
	b.run(t.Context())
	const steps, sessions = 5, 2 // a, b, g, c, d; opened and closed
	if store.appends > steps+sessions {
		t.Errorf("%d appends for %d steps, want at most one each and two for the run", store.appends, steps)
	}
}

func TestSaveThatCannotBeWrittenIsToldToTheTask(t *testing.T) {
	b := newBench(t, halting())
	b.options.Store = &brokenStore{Store: b.options.Store, works: 2}
	b.world.when("a", func(_ context.Context, env *task.Env) error {
		err := env.Save(toyReceipt{"x"})
		if err == nil {
			t.Error("save succeeded on a full disk")
		}
		return err
	})
	if _, err := Run(t.Context(), b.plan, b.options); err == nil {
		t.Error("the run went on without its journal")
	}
}
