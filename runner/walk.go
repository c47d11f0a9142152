package runner

import (
	"context"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// walk calls look for every step of the phases: gates, steps, and the hooks of
// the rollback last. It stops where ctx ends.
func walk(ctx context.Context, phases []plan.Phase, look func(*plan.Phase, *plan.Step, journal.Kind)) error {
	for i := range phases {
		phase := &phases[i]
		for _, list := range []struct {
			kind  journal.Kind
			steps []plan.Step
		}{{journal.KindGate, phase.Gates}, {journal.KindStep, phase.Steps}, {journal.KindRollback, phase.Rollback}} {
			for j := range list.steps {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				look(phase, &list.steps[j], list.kind)
			}
		}
	}
	return nil
}
