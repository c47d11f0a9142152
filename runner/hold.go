package runner

import (
	"context"
	"fmt"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// stillHold asks the finished steps of a phase that is taken up again whether
// what they hold still does: a service that was stopped may have been started
// since, by a reboot or by somebody. If nothing was built on it the step is
// carried out again. If something was, such as a copy of the database that
// should have every write in it, the run halts: only a person can say what the
// service did meanwhile.
func (s *session) stillHold(ctx context.Context, phase *plan.Phase) outcome {
	for i := range phase.Steps {
		step := &phase.Steps[i]
		at := s.at(step.ID)
		if at == nil || !at.Finished() {
			continue
		}
		err := s.holds(ctx, phase, i)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return judge(ctx, ctx, nil, err)
		case s.at(after(phase, i)) == nil:
			s.again[step.ID] = true
			return outcome{status: journal.Done}
		}
		return outcome{status: journal.Failed, halts: true, err: task.Hint(
			fmt.Errorf("%s does not hold any more, and later steps were built on it: %w", step.ID, err),
			"phasegate rollback "+s.plan.Path+" goes back; what was written since stays in the database that it replaces")}
	}
	return outcome{status: journal.Done}
}

// after is the id of the step that follows the ith, or "".
func after(phase *plan.Phase, i int) string {
	if i+1 < len(phase.Steps) {
		return phase.Steps[i+1].ID
	}
	return ""
}

// holds asks the ith step's task, unless it holds nothing or a later step that
// has started lets go of it.
func (s *session) holds(ctx context.Context, phase *plan.Phase, i int) error {
	holder, ok := s.configured(&phase.Steps[i]).(task.Holder)
	if !ok {
		return nil
	}
	for j := i + 1; j < len(phase.Steps); j++ {
		if s.at(phase.Steps[j].ID) == nil {
			break
		}
		if r, ok := s.configured(&phase.Steps[j]).(task.Releaser); ok && r.Releases() == holder.Hold() {
			return nil
		}
	}
	step := &phase.Steps[i]
	return holder.Holds(ctx, s.env(ctx, phase, step, journal.Event{Phase: phase.Name, Step: step.ID}, nil))
}

// configured returns the step's task, or nil where it cannot be made: then its
// own attempt says why.
func (s *session) configured(step *plan.Step) any {
	instance, err := step.Instance(s.values(step.Needs()))
	if err != nil {
		return nil
	}
	return instance.Config()
}
