package runner

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// A toyStop holds for as long as the world says nothing else, and a toyStart
// lets go of it.
type (
	toyStop  toy
	toyStart toy
)

func (t *toyStop) Check(context.Context, *task.Env) error  { return nil }
func (t *toyStart) Check(context.Context, *task.Env) error { return nil }

func (t *toyStop) Run(ctx context.Context, env *task.Env) (toyReceipt, error) {
	return (*toy)(t).Run(ctx, env)
}

func (t *toyStart) Run(ctx context.Context, env *task.Env) (toyReceipt, error) {
	return (*toy)(t).Run(ctx, env)
}

func (t *toyStop) Hold() string { return "service" }

func (t *toyStop) Holds(ctx context.Context, env *task.Env) error {
	return t.world.call(ctx, "holds", env)
}

func (t *toyStart) Releases() string { return "service" }

const window = `
version: 1
name: toy
phases:
  - name: p1
    on_failure: rollback
    steps:
      - { id: stop, task: toy/stop, with: { name: stop } }
      - { id: stage, task: toy/do, with: { name: stage } }
      - { id: start, task: toy/start, with: { name: start } }
    rollback: [{ id: r, task: toy/do, with: { name: r } }]
`

// diesAt runs the plan until the process dies at a step.
func (b *bench) diesAt(step string) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	b.world.when(step, func(ctx context.Context, _ *task.Env) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	b.run(ctx)
	b.world.called()
	b.world.when(step, nil)
}

func TestServiceThatCameBackBehindACopyHaltsTheRun(t *testing.T) {
	b := newBench(t, window)
	b.diesAt("stage")
	b.world.when("holds", fails(errors.New("service runs again")))
	state := b.run(t.Context())
	b.expect(state, journal.Failed, "holds")
	if !strings.Contains(state.Reason, "stop does not hold any more") || !strings.Contains(state.Hint, "phasegate rollback") {
		t.Errorf("reason %q, hint %q", state.Reason, state.Hint)
	}
	b.world.when("holds", nil)
	b.expect(b.run(t.Context()), journal.Done, "holds", "stage", "start")
}

func TestServiceThatCameBackBeforeAnythingWasBuiltOnItIsStoppedAgain(t *testing.T) {
	b := newBench(t, window)
	ctx, cancel := context.WithCancel(t.Context())
	b.world.when("stop", func(context.Context, *task.Env) error { cancel(); return nil })
	b.expect(b.run(ctx), journal.Interrupted, "stop")
	b.world.when("stop", nil)
	b.world.when("holds", fails(errors.New("service runs again")))
	b.expect(b.run(t.Context()), journal.Done, "holds", "stop", "stage", "start")
}

func TestServiceThatWasLetGoOfMayRun(t *testing.T) {
	b := newBench(t, window)
	b.diesAt("start")
	b.world.when("holds", fails(errors.New("service runs again")))
	b.expect(b.run(t.Context()), journal.Done, "start")
}
