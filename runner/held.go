package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// lockTarget keeps other runs off what the plan works on.
func lockTarget(ctx context.Context, p *plan.Plan, o Options) (func(), error) {
	unlock, err := o.Store.Lock(ctx, p.Name)
	if errors.Is(err, journal.ErrHeld) {
		return nil, inTheWay(ctx, p, o)
	}
	return unlock, err
}

// inTheWay says which run of the plan is at work, and who has it.
func inTheWay(ctx context.Context, p *plan.Plan, o Options) error {
	runs, err := o.Store.Runs(ctx)
	if err != nil {
		return err
	}
	for _, run := range slices.Backward(runs) {
		if held, err := o.Store.Held(ctx, run); err != nil || !held {
			continue
		}
		if state, err := o.Store.State(ctx, run); err == nil && state != nil && state.Plan == p.Name {
			return heldBy(state)
		}
	}
	return refuse("it has not begun yet, or just ended: call again; phasegate status shows who has what",
		"another phasegate is at work on plan %s", p.Name)
}

// heldBy says who has a run.
func heldBy(s *journal.State) error {
	return refuse(
		fmt.Sprintf("wait until it has ended, or stop it at its next safe point, on %s: kill -INT %d", s.Holder.Host, s.Holder.PID),
		"another phasegate is at work on plan %s: process %d on %s has run %s since %s",
		s.Plan, s.Holder.PID, s.Holder.Host, s.Run, s.Holder.Since.Format(time.RFC3339))
}
