package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// Rollback takes back the plan's newest run that changed anything, or the one that
// was asked for. It also completes a rollback that was interrupted or that left
// something undone. Where the newest is back already, an earlier one is taken back
// only when it is asked for: a second call must not undo more than the first.
func Rollback(ctx context.Context, p *plan.Plan, o Options) (*journal.State, error) {
	unlock, err := lockTarget(ctx, p, o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := find(ctx, p, o, (*journal.State).Changed)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, refuse("phasegate status lists the runs", "plan %s has no run to roll back: none changed anything", p.Name)
	case found.Ended():
		return nil, refuse("phasegate status lists the runs; an earlier one is taken back with --run",
			"plan %s has no run to roll back: run %s is rolled back already", p.Name, found.Run)
	}
	s, err := open(ctx, p, o, found.Run)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.begin(ctx, "rollback"); err != nil {
		return s.state, err
	}
	held, cancel := s.whileHeld(ctx)
	defer cancel()
	watched := s.watch(held)
	defer watched.stop()
	err = s.rollback(held, watched)
	return s.state, err
}

// rollback calls the hooks of every phase that started, last phase first, and
// closes the session. It goes on after failures and says them all.
func (s *session) rollback(ctx context.Context, watched *watch) error {
	s.goBack()
	var failures *multierror.Error
	for i := range slices.Backward(s.plan.Phases) {
		phase := &s.plan.Phases[i]
		if !s.acted(phase) {
			continue
		}
		ended, err := s.takeBack(ctx, phase, watched)
		if err != nil {
			return err
		}
		if ended.status == journal.Interrupted {
			return s.end(outcome{status: journal.RollingBack, err: ended.err})
		}
		if ended.status == journal.Failed {
			failures = multierror.Append(failures, ended.err)
		}
	}
	ended := outcome{status: journal.RolledBack}
	if failures != nil {
		failures.ErrorFormat = listed
		ended = outcome{status: journal.RollbackIncomplete, err: task.Hint(failures,
			"mend what is named, then run phasegate rollback again: it takes up the phases that are not back")}
	}
	s.hold(journal.Event{
		Type: journal.RollbackFinished, Status: ended.status, Reason: ended.reason(), Hint: ended.hint(),
	})
	return s.end(ended)
}

// acted tells whether a step of the phase, not just a gate, ever started.
func (s *session) acted(phase *plan.Phase) bool {
	for _, step := range phase.Steps {
		if s.at(step.ID) != nil {
			return true
		}
	}
	return false
}

// takeBack calls one phase's hooks. A phase without hooks has nothing to take
// back, or said in the plan why it cannot be.
func (s *session) takeBack(ctx context.Context, phase *plan.Phase, watched *watch) (outcome, error) {
	if len(phase.Rollback) == 0 && phase.Irreversible == "" || s.isBack(phase) {
		return outcome{status: journal.Done}, nil
	}
	event := journal.Event{Type: journal.PhaseStarted, Phase: phase.Name, Kind: journal.KindRollback}
	s.hold(event)
	began := time.Now()
	_, cancel := watched.enter(ctx, phase.Name, 0)
	defer cancel()
	var failures *multierror.Error
	ended := outcome{status: journal.Done}
	if len(phase.Rollback) == 0 {
		ended = outcome{status: journal.Skipped, err: task.Skip(phase.Irreversible)}
	}
	for i := range phase.Rollback {
		hook, err := s.next(ctx, phase, &phase.Rollback[i], journal.KindRollback)
		if err != nil {
			return hook, err
		}
		if hook.status == journal.Interrupted {
			ended = hook
			break
		}
		if !passed(hook) {
			failures = multierror.Append(failures, hook.err)
		}
	}
	if failures != nil && ended.status == journal.Done {
		failures.ErrorFormat = listed
		ended = outcome{status: journal.Failed, err: fmt.Errorf("phase %s: %w", phase.Name, failures)}
	}
	event.Type, event.Status = journal.PhaseFinished, ended.status
	event.Reason, event.Hint = ended.reason(), ended.hint()
	event.DurationMS, event.DowntimeMS = time.Since(began).Milliseconds(), watched.leave().Milliseconds()
	s.hold(event)
	return ended, nil
}

// isBack tells whether an earlier session took the whole phase back. One of
// which only some hooks are done is taken back from its first hook on: a hook
// such as stopping a service holds only until a later one, such as starting it.
func (s *session) isBack(phase *plan.Phase) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.state.Phase(phase.Name)
	return at != nil && (at.Rollback == journal.Done || at.Rollback == journal.Skipped)
}

// listed writes the failures of a phase one under the other.
func listed(failures []error) string {
	if len(failures) == 1 {
		return failures[0].Error()
	}
	lines := make([]string, 0, len(failures)+1)
	lines = append(lines, fmt.Sprintf("%d failures:", len(failures)))
	for _, err := range failures {
		line := "- " + err.Error()
		if hint := task.HintOf(err); hint != "" {
			line += " (" + hint + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
