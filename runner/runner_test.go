package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestPhasesAndStepsRunInOrderAndHandOnTheirReceipts(t *testing.T) {
	b := newBench(t, halting())
	b.expect(b.run(t.Context()), journal.Done, "a", "ab", "g", "c", "d")
}

func TestFailedRunGoesOnAtTheStepThatFailed(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("c", fails(task.Hint(errors.New("no luck"), "try again")))
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "a", "ab", "g", "c")
	if state.Reason != "phase p2: c: no luck" || state.Hint != "try again" {
		t.Errorf("reason %q, hint %q", state.Reason, state.Hint)
	}
	b.world.when("c", nil)
	b.expect(b.run(t.Context()), journal.Done, "g", "c", "d")
}

func TestSkippedStepIsNotRunAgain(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("a", fails(task.Skip("nothing to do")))
	b.world.when("d", fails(errors.New("no luck")))
	b.expect(b.run(t.Context()), journal.Failed, "a", "ab", "g", "c", "d")
	b.expect(b.run(t.Context()), journal.Failed, "g", "d")
}

func TestClosedGateEndsTheRunWaitingAndIsLookedAtAgain(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("g", fails(fmt.Errorf("nobody approved: %w", task.ErrClosed)))
	b.expect(b.run(t.Context()), journal.Waiting, "a", "ab", "g")
	b.expect(b.run(t.Context()), journal.Waiting, "g")
	b.world.when("g", nil)
	b.expect(b.run(t.Context()), journal.Done, "g", "c", "d")
}

func TestWhatAClosedGateSawIsJournalled(t *testing.T) {
	b := newBench(t, halting())
	b.world.unready = "g"
	b.world.when("g", fails(fmt.Errorf("nobody approved: %w", task.ErrClosed)))
	b.expect(b.run(t.Context()), journal.Waiting, "a", "ab", "g")
	if closed := b.event(journal.StepFinished, "g"); string(closed.Receipt) != `{"name":"g"}` {
		t.Errorf("the closed gate left %s", closed.Receipt)
	}
}

func TestFailureBeforeAnythingChangedHaltsAndCanGoOn(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
phases:
  - name: p1
    on_failure: rollback
    gates: [{ id: g, task: toy/gate, with: { name: g } }]
    steps: [{ id: a, task: toy/do, with: { name: a } }]
    rollback: [{ id: r, task: toy/do, with: { name: r } }]
`)
	b.world.when("g", fails(errors.New("not approved")))
	b.expect(b.run(t.Context()), journal.Failed, "g")
	b.world.when("g", nil)
	b.expect(b.run(t.Context()), journal.Done, "g", "a")
}

func TestRunDoesNotGoOnWithOtherVariables(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
env: { WHERE: {}, TOKEN: { secret: true }, DATABASE: { secret: true } }
phases:
  - name: p1
    steps: [{ id: a, task: toy/do, with: { name: "${{ env.WHERE }}" } }]
    rollback: [{ id: r, task: toy/do, with: { name: r } }]
`)
	values := map[string]string{"WHERE": "here", "TOKEN": "t1-hunter22", "DATABASE": "postgres://u:hunter22@host/db"}
	b.env(values)
	b.world.when("here", fails(errors.New("no luck")))
	state := b.run(t.Context())

	for name, value := range map[string]string{"WHERE": "there", "DATABASE": "postgres://u:hunter22@host/other"} {
		other := maps.Clone(values)
		other[name] = value
		b.env(other)
		for verb, do := range map[string]func(context.Context, *plan.Plan, Options) (*journal.State, error){
			"run": Run, "rollback": Rollback,
		} {
			if _, err := do(t.Context(), b.plan, b.options); !isRefused(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with another %s: %v, want a refusal that names it", verb, name, err)
			}
		}
	}

	values["TOKEN"], values["DATABASE"] = "t2-hunter23", "postgres://u:changed@host/db"
	b.env(values)
	b.world.when("here", nil)
	if state := b.run(t.Context()); state.Status != journal.Done {
		t.Errorf("with new passwords the run is %s: %s", state.Status, state.Reason)
	}
	content, err := os.ReadFile(filepath.Join(b.options.Dir, state.Run, journal.FileName))
	if err != nil || strings.Contains(string(content), "hunter2") {
		t.Errorf("the journal holds a value: %v", err)
	}
}

func TestRefusedPhaseLeavesNoRunBehind(t *testing.T) {
	b := newBench(t, halting())
	b.options.From, b.options.To = "p2", "p2"
	if _, err := Run(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Fatalf("p2 before p1: %v, want a refusal", err)
	}
	if runs, err := b.options.Store.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("a refused run left %v, %v", runs, err)
	}
}

// A gate that was open before a person was waited for may be closed by now.
func TestGatesBeforeASlowOneAreLookedAtAgain(t *testing.T) {
	b := newBench(t, strings.Replace(halting(), "{ id: g,", "{ id: w, task: toy/gate, with: { name: w } }\n      - { id: g,", 1))
	now := time.Now()
	b.options.Clock = func() time.Time { return now }
	b.world.when("g", func(context.Context, *task.Env) error { now = now.Add(stale); return nil })
	b.expect(b.run(t.Context()), journal.Done, "a", "ab", "w", "g", "w", "c", "d")
	b.world.when("g", func(context.Context, *task.Env) error {
		now = now.Add(stale)
		b.world.when("w", fails(fmt.Errorf("too late: %w", task.ErrClosed)))
		return nil
	})
	b.expect(b.run(t.Context()), journal.Waiting, "a", "ab", "w", "g", "w")
}

func TestRefusalAtAGateIsAFailure(t *testing.T) {
	b := newBench(t, rollingBack())
	b.world.when("g", fails(errors.New("not approved")))
	b.expect(b.run(t.Context()), journal.RolledBack, "a", "ab", "g", "r1")
}

func TestFailureRollsBackThePhasesThatStartedLastFirst(t *testing.T) {
	b := newBench(t, rollingBack())
	b.world.when("d", fails(errors.New("no luck")))
	state := b.run(t.Context())
	b.expect(state, journal.RolledBack, "a", "ab", "g", "c", "d", "r2", "r3-d", "r1")
}

func TestHookWhoseStepNeverRanIsPassedOver(t *testing.T) {
	b := newBench(t, rollingBack())
	b.world.when("c", fails(errors.New("no luck")))
	state := b.run(t.Context())
	b.expect(state, journal.RolledBack, "a", "ab", "g", "c", "r2", "r1")
	if hook := state.Step("r3"); hook.Status != journal.Skipped {
		t.Errorf("r3 is %s, want skipped", hook.Status)
	}
}

func TestRollbackGoesOnAfterAFailureAndIsCompletedByTheNextCall(t *testing.T) {
	b := newBench(t, halting())
	b.run(t.Context())
	b.world.called()
	b.world.when("r2", fails(errors.New("stuck")))
	state := b.rollback(t.Context())
	b.expect(state, journal.RollbackIncomplete, "r2", "r3-d", "r1")
	if !strings.Contains(state.Reason, "r2: stuck") {
		t.Errorf("reason %q does not name the failure", state.Reason)
	}
	if _, err := Run(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Errorf("run on a run that goes back: %v, want a refusal", err)
	}
	b.world.when("r2", nil)
	b.expect(b.rollback(t.Context()), journal.RolledBack, "r2", "r3-d") // the whole phase, and not p1 again
	if _, err := Rollback(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Errorf("rollback of what is rolled back: %v, want a refusal", err)
	}
}

// A second operator, or a job that is run again, takes back no more than the first.
func TestSecondRollbackLeavesTheRunBefore(t *testing.T) {
	b := newBench(t, halting())
	first := b.run(t.Context())
	second := b.run(t.Context())
	b.rollback(t.Context())
	b.world.called()
	_, err := Rollback(t.Context(), b.plan, b.options)
	if !isRefused(err) || !strings.Contains(err.Error(), "run "+second.Run+" is rolled back already") {
		t.Errorf("the second rollback: %v", err)
	}
	b.expect(second, journal.Done) // nothing was called
	b.options.Run = first.Run
	b.expect(b.rollback(t.Context()), journal.RolledBack, "r2", "r3-d", "r1")
}

func TestPhaseThatCannotBeTakenBackSaysSoAndTheRestIs(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
phases:
  - name: p1
    steps: [{ id: a, task: toy/do, with: { name: a } }]
    rollback: [{ id: r1, task: toy/do, with: { name: r1 } }]
  - name: p2
    irreversible: mails cannot be called back
    steps: [{ id: b, task: toy/do, with: { name: b } }]
`)
	b.run(t.Context())
	state := b.rollback(t.Context())
	b.expect(state, journal.RolledBack, "a", "b", "r1")
	if p2 := state.Phase("p2"); p2.Rollback != journal.Skipped {
		t.Errorf("rollback of p2 is %s, want skipped", p2.Rollback)
	}
}

func TestNewRunBeginsAfterARollback(t *testing.T) {
	b := newBench(t, halting())
	first := b.run(t.Context())
	b.rollback(t.Context())
	b.world.called()
	second := b.run(t.Context())
	b.expect(second, journal.Done, "a", "ab", "g", "c", "d")
	if first.Run == second.Run {
		t.Error("a run that was rolled back went on")
	}
}

func TestInterruptedRunStopsAtASafePointAndGoesOn(t *testing.T) {
	b := newBench(t, rollingBack())
	ctx, cancel := context.WithCancel(t.Context())
	b.world.when("c", func(ctx context.Context, _ *task.Env) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	b.expect(b.run(ctx), journal.Interrupted, "a", "ab", "g", "c")
	b.world.when("c", nil)
	b.expect(b.run(t.Context()), journal.Done, "g", "c", "d")
}

func TestStepThatEndsWellWhileInterruptedIsDone(t *testing.T) {
	b := newBench(t, halting())
	ctx, cancel := context.WithCancel(t.Context())
	b.world.when("c", func(context.Context, *task.Env) error { cancel(); return nil })
	b.expect(b.run(ctx), journal.Interrupted, "a", "ab", "g", "c")
	b.expect(b.run(t.Context()), journal.Done, "g", "d")
}

func TestInterruptedRollbackIsCompletedByTheNextCall(t *testing.T) {
	b := newBench(t, halting())
	b.run(t.Context())
	b.world.called()
	ctx, cancel := context.WithCancel(t.Context())
	b.world.when("r3-d", func(ctx context.Context, _ *task.Env) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	b.expect(b.rollback(ctx), journal.RollingBack, "r2", "r3-d")
	b.world.when("r3-d", nil)
	b.expect(b.rollback(t.Context()), journal.RolledBack, "r2", "r3-d", "r1")
}

func TestPartOfThePlanRunsAndLeavesTheRunOpen(t *testing.T) {
	b := newBench(t, halting())
	b.options.From, b.options.To = "p2", "p2"
	if _, err := Run(t.Context(), b.plan, b.options); !isRefused(err) || !strings.Contains(err.Error(), "p1") {
		t.Errorf("p2 before p1: %v, want a refusal that names p1", err)
	}
	b.options.From, b.options.To = "p1", "p1"
	first := b.run(t.Context())
	b.expect(first, journal.Open, "a", "ab")
	b.options.From, b.options.To = "p2", "p2"
	second := b.run(t.Context())
	b.expect(second, journal.Done, "g", "c", "d")
	if first.Run != second.Run {
		t.Error("the second phase did not go on with the open run")
	}
}

func TestUnknownPhaseIsRefusedWithTheOnesThereAre(t *testing.T) {
	b := newBench(t, halting())
	b.options.From = "p3"
	_, err := Run(t.Context(), b.plan, b.options)
	if !isRefused(err) || !strings.Contains(task.HintOf(err), "p1, p2") {
		t.Errorf("got %v, hint %q", err, task.HintOf(err))
	}
	b.options.From, b.options.To = "p2", "p1"
	if _, err := Run(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Errorf("from p2 to p1: %v, want a refusal", err)
	}
}

func TestEditedPlanIsRefusedOnceSomethingWasChanged(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("c", fails(errors.New("no luck")))
	b.run(t.Context())
	b.edit(halting() + "# edited\n")
	_, err := Run(t.Context(), b.plan, b.options)
	if !isRefused(err) || !strings.Contains(err.Error(), "digest") {
		t.Errorf("run: %v, want a refusal that names the digests", err)
	}
	if _, err := Rollback(t.Context(), b.plan, b.options); !isRefused(err) {
		t.Errorf("rollback: %v, want a refusal", err)
	}
}

func TestEditedPlanBeginsANewRunWhileNothingWasChanged(t *testing.T) {
	checks := strings.ReplaceAll(`
version: 1
name: toy
phases:
  - name: p1
    steps:
      - { id: a, task: toy/look, with: { name: a } }
`, "\t", "")
	b := newBench(t, checks)
	b.world.when("a", fails(errors.New("no luck")))
	first := b.run(t.Context())
	b.expect(first, journal.Failed, "a")
	b.edit(checks + "# mended\n")
	b.world.when("a", nil)
	second := b.run(t.Context())
	b.expect(second, journal.Done, "a")
	if first.Run == second.Run {
		t.Error("the edited plan went on with the old run")
	}
}

func TestChecksThatKeepGoingReportAllFailuresTogether(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
phases:
  - name: checks
    keep_going: true
    steps:
      - { id: a, task: toy/look, with: { name: a } }
      - { id: b, task: toy/look, with: { name: b } }
      - { id: c, task: toy/look, with: { name: c } }
`)
	b.world.when("a", fails(errors.New("first")))
	b.world.when("c", fails(task.Hint(errors.New("third"), "mend it")))
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "a", "b", "c")
	for _, want := range []string{"2 failures", "a: first", "c: third", "mend it"} {
		if !strings.Contains(state.Reason, want) {
			t.Errorf("reason %q does not hold %q", state.Reason, want)
		}
	}
}

func TestPanicIsAFailedStepWithItsStack(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("a", func(context.Context, *task.Env) error { panic("out of tea") })
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "a")
	finished := b.event(journal.StepFinished, "a")
	if !strings.Contains(finished.Reason, "out of tea") || !strings.Contains(finished.Stack, "toy_test.go") {
		t.Errorf("reason %q, stack %q", finished.Reason, finished.Stack)
	}
}

func TestStepThatTakesTooLongFails(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
phases:
  - name: p1
    irreversible: it is a toy
    steps:
      - { id: a, task: toy/do, timeout: 20ms, with: { name: a } }
`)
	b.world.when("a", func(ctx context.Context, _ *task.Env) error { <-ctx.Done(); return ctx.Err() })
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "a")
	if !strings.Contains(state.Reason, "did not end within 20ms") {
		t.Errorf("reason %q", state.Reason)
	}
}

func TestStepIsTriedAgainAsOftenAsItAsks(t *testing.T) {
	b := newBench(t, `
version: 1
name: toy
phases:
  - name: p1
    irreversible: it is a toy
    steps:
      - { id: a, task: toy/do, retry: { times: 2, wait: 1ms }, with: { name: a } }
`)
	b.world.when("a", fails(errors.New("no luck")))
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "a", "a", "a")
	if got := state.Step("a").Attempts; got != 3 {
		t.Errorf("attempts = %d", got)
	}
}

func TestSavedReceiptComesBackToTheNextCall(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("a", func(_ context.Context, env *task.Env) error {
		if saved, ok, err := task.Saved[toyReceipt](env); ok || err != nil {
			t.Errorf("first call has the saved receipt %v, %v", saved, err)
		}
		if err := env.Save(toyReceipt{"half"}); err != nil {
			t.Error(err)
		}
		panic("killed")
	})
	b.run(t.Context())
	b.world.when("a", func(_ context.Context, env *task.Env) error {
		if saved, ok, err := task.Saved[toyReceipt](env); !ok || err != nil || saved.Name != "half" {
			t.Errorf("second call has %v, %v, %v", saved, ok, err)
		}
		return nil
	})
	if state := b.run(t.Context()); state.Status != journal.Done {
		t.Errorf("status = %s", state.Status)
	}
}

func TestSecretsAreMaskedInTheJournal(t *testing.T) {
	b := newBench(t, halting())
	b.options.Mask = strings.NewReplacer("hunter22", "[redacted]").Replace
	b.world.when("a", func(_ context.Context, env *task.Env) error {
		if err := env.Save(toyReceipt{"hunter22"}); err != nil {
			t.Error(err)
		}
		return task.Hint(errors.New("password hunter22 refused"), "do not use hunter22")
	})
	state := b.run(t.Context())
	content, err := os.ReadFile(filepath.Join(b.options.Dir, state.Run, journal.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "hunter22") {
		t.Errorf("the journal holds the secret:\n%s", content)
	}
}

func TestTwoRunsAtOnceAreRefused(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("a", func(context.Context, *task.Env) error {
		for name, do := range map[string]func() error{
			"run":      func() error { _, err := Run(t.Context(), b.plan, b.options); return err },
			"rollback": func() error { _, err := Rollback(t.Context(), b.plan, b.options); return err },
		} {
			if err := do(); !isRefused(err) || !strings.Contains(err.Error(), "another phasegate") {
				t.Errorf("%s beside a run: %v, want a refusal", name, err)
			}
		}
		return nil
	})
	b.run(t.Context())
}

func (b *bench) event(kind journal.Type, step string) journal.Event {
	for _, e := range b.events {
		if e.Type == kind && e.Step == step {
			return e
		}
	}
	return journal.Event{}
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

func TestRunsAreNamedInTheirOrderEvenIfTheClockGoesBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 51, 18, 0, time.UTC)
	first := newRun(now, nil)
	if !journal.ValidRun(first) || !strings.HasPrefix(first, "20261122-215118-000-") {
		t.Errorf("a run is named %s", first)
	}
	second := newRun(now, []string{first, "not-a-run"})
	third := newRun(now.Add(-time.Hour), []string{first, second})
	if first >= second || second >= third {
		t.Errorf("runs are named %s, %s, %s", first, second, third)
	}
}
