package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Checked is what a dry run learnt about one step.
type Checked struct {
	Phase, Step string
	Kind        journal.Kind
	Err         error  // why it could not succeed from here
	Unknown     string // why it could not be checked
}

// DryRun calls Check on every step of the asked-for phases, in order, rollback
// hooks last. It journals nothing and changes nothing. A step that refers to
// the receipt of one that has not run cannot be checked, and says so.
func DryRun(ctx context.Context, p *plan.Plan, o Options, report func(Checked)) error {
	phases, err := between(p, o.From, o.To)
	if err != nil {
		return err
	}
	values := plan.Values{Env: o.Environ, Run: "dry-run", Digest: p.Digest}
	return walk(ctx, phases, func(phase *plan.Phase, step *plan.Step, kind journal.Kind) {
		report(check(ctx, p, phase, step, kind, values, o))
	})
}

func check(
	ctx context.Context, p *plan.Plan, phase *plan.Phase, step *plan.Step, kind journal.Kind, values plan.Values, o Options,
) (checked Checked) {
	checked = Checked{Phase: phase.Name, Step: step.ID, Kind: kind}
	defer func() {
		if panicked := recover(); panicked != nil {
			checked.Err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	if needs := step.Needs(); len(needs) > 0 {
		checked.Unknown = "needs what step " + strings.Join(needs, ", ") + " returns"
		return checked
	}
	instance, err := step.Instance(values)
	if err != nil {
		checked.Err = err
		return checked
	}
	env := &task.Env{
		Log: o.Log, Dir: o.Dir,
		Save:     func(any) error { return errors.New("a dry run saves nothing") },
		Progress: func(int64, int64, string) {},
		Downtime: phase.Downtime,
	}
	if step.Task.Kind == task.Gates {
		o.rehearsed(env, p.Name, p.Path, p.Digest)
	}
	checked.Err = instance.Check(ctx, env)
	return checked
}
