package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// ErrOverBudget means that users were without the service for longer than the
// phase's downtime allows.
var ErrOverBudget = errors.New("downtime is over its budget")

// phase carries out one phase, unless it is done already.
func (s *session) phase(ctx context.Context, phase *plan.Phase, watched *watch) (outcome, error) {
	if at := s.state.Phase(phase.Name); at != nil && at.Status == journal.Done {
		return outcome{status: journal.Done}, nil
	}
	s.hold(journal.Event{Type: journal.PhaseStarted, Phase: phase.Name, BudgetMS: phase.Downtime.Milliseconds()})
	began := time.Now()
	inPhase, cancel := watched.enter(ctx, phase.Name, phase.Downtime)
	defer cancel()
	ended, err := s.gates(ctx, phase)
	if err == nil && ended.status == journal.Done {
		ended = s.stillHold(inPhase, phase)
	}
	if err == nil && ended.status == journal.Done {
		ended, err = s.steps(inPhase, phase)
	}
	if err != nil {
		return ended, err
	}
	downtime := watched.leave()
	if budget := phase.Downtime; ended.status == journal.Done && budget > 0 && downtime > budget {
		ended = outcome{status: journal.Failed, err: overBudget(downtime, budget)}
	}
	if ended.err != nil {
		ended.err = fmt.Errorf("phase %s: %w", phase.Name, ended.err)
	}
	s.hold(journal.Event{
		Type: journal.PhaseFinished, Phase: phase.Name, Status: ended.status,
		Reason: ended.reason(), Hint: ended.hint(), DurationMS: time.Since(began).Milliseconds(),
		DowntimeMS: downtime.Milliseconds(), BudgetMS: phase.Downtime.Milliseconds(),
	})
	return ended, nil
}

func overBudget(downtime, budget time.Duration) error {
	return fmt.Errorf("%w: users were without the service for %s of %s",
		ErrOverBudget, downtime.Round(100*time.Millisecond), budget)
}

// stale is after how long it has to be seen again whether a gate is open.
const stale = time.Minute

// gates looks at every gate of the phase, again if need be, and stops at the
// first one that is closed. Those that were open before another one took long,
// such as one that waited for a person, are looked at again.
func (s *session) gates(ctx context.Context, phase *plan.Phase) (outcome, error) {
	for left := phase.Gates; len(left) > 0; {
		slow := 0
		for i := range left {
			began := s.options.now()
			ended, err := s.next(ctx, phase, &left[i], journal.KindGate)
			if err != nil || !passed(ended) {
				return ended, err
			}
			if s.options.now().Sub(began) >= stale {
				slow = i
			}
		}
		left = left[:slow]
	}
	return outcome{status: journal.Done}, nil
}

// steps carries out the phase's steps in order. A phase that keeps going
// collects the failures and stops only where it is interrupted.
func (s *session) steps(ctx context.Context, phase *plan.Phase) (outcome, error) {
	var failures *multierror.Error
	for i := range phase.Steps {
		ended, err := s.next(ctx, phase, &phase.Steps[i], journal.KindStep)
		if err != nil {
			return ended, err
		}
		if passed(ended) {
			continue
		}
		if ended.status != journal.Failed || !phase.KeepGoing {
			return ended, nil
		}
		failures = multierror.Append(failures, ended.err)
	}
	if err := failures.ErrorOrNil(); err != nil {
		failures.ErrorFormat = listed
		return outcome{status: journal.Failed, err: err}, nil
	}
	return outcome{status: journal.Done}, nil
}

// next is step with the two things that happen between steps: the context is
// looked at, and an error gets the step's name.
func (s *session) next(ctx context.Context, phase *plan.Phase, step *plan.Step, kind journal.Kind) (outcome, error) {
	if ctx.Err() != nil {
		return judge(ctx, ctx, nil, context.Cause(ctx)), nil
	}
	ended, err := s.step(ctx, phase, step, kind)
	if ended.err != nil {
		ended.err = fmt.Errorf("%s: %w", step.ID, ended.err)
	}
	return ended, err
}

func passed(o outcome) bool { return o.status == journal.Done || o.status == journal.Skipped }
