package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// rehearsals returns what the store's journals tell of rehearsals of a plan,
// newest first. Each journal's chain is verified by reading it: one that does not
// fit is told of, with why, and proves nothing.
func rehearsals(ctx context.Context, store journal.Store, plan string) ([]task.Rehearsal, error) {
	runs, err := store.Runs(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for rehearsals: %w", err)
	}
	var found []task.Rehearsal
	for _, run := range slices.Backward(runs) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		events, err := store.Read(ctx, run)
		if _, foreign := errors.AsType[*journal.ContractError](err); foreign {
			continue // it cannot be understood, so it proves nothing
		}
		damage, damaged := errors.AsType[*journal.DamagedError](err)
		if err != nil && !damaged {
			return nil, fmt.Errorf("look for rehearsals: %w", err)
		}
		state := journal.Fold(events)
		if state == nil || !state.Rehearsal || state.Plan != plan {
			continue
		}
		r := task.Rehearsal{Run: run, Digest: state.Digest, Status: string(state.Status), Ended: state.LastSeen, Worked: worked(state)}
		if damaged {
			r.Damage = damage.Error()
		}
		found = append(found, r)
	}
	return found, nil
}

// worked tells whether a phase that changes something was done. It still is when it
// was taken back later.
func worked(state *journal.State) bool {
	return slices.ContainsFunc(state.Phases, func(phase *journal.Phase) bool {
		return phase.Status == journal.Done && slices.ContainsFunc(phase.Steps, func(step *journal.Step) bool {
			return step.Kind == journal.KindStep && step.Changes
		})
	})
}

// rehearsed gives a gate what it judges rehearsals by.
func (o Options) rehearsed(env *task.Env, name, path, digest string) {
	env.PlanFile, env.Rehearsing, env.Basis.Plan, env.Basis.Digest = path, o.Rehearsal, name, digest
	env.Rehearsals = func(ctx context.Context) ([]task.Rehearsal, error) { return rehearsals(ctx, o.Store, name) }
}
