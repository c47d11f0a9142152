package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// An outcome is how a step, a phase or a session ended, and why.
type outcome struct {
	status  journal.Status
	err     error
	halts   bool // whatever on_failure says: a person has to look first
	stack   string
	receipt json.RawMessage
}

func (o outcome) reason() string {
	if o.err == nil {
		return ""
	}
	return o.err.Error()
}

func (o outcome) hint() string { return task.HintOf(o.err) }

// step carries out one step, unless it is finished already: gates are looked at
// again, and hooks are called again while their phase is not back. Its error is
// the journal's; how the step ended is in the outcome.
func (s *session) step(ctx context.Context, phase *plan.Phase, step *plan.Step, kind journal.Kind) (outcome, error) {
	attempt, saved := 0, json.RawMessage(nil)
	if at := s.at(step.ID); at != nil {
		if at.Finished() && kind == journal.KindStep && !s.again[step.ID] {
			return outcome{status: at.Status}, nil
		}
		attempt, saved = at.Attempts, at.Receipt
	}
	wait := step.Retry.Wait
	for try := 0; ; try++ {
		attempt++
		ended, err := s.attempt(ctx, phase, step, kind, attempt, saved)
		if err != nil || ended.status != journal.Failed || try >= step.Retry.Times {
			return ended, err
		}
		s.options.Log.Warn("step failed, will be tried again", "step", step.ID, "wait", wait.String())
		if err := s.flush(ctx); err != nil {
			return ended, err
		}
		if err := pause(ctx, wait); err != nil {
			return outcome{status: journal.Interrupted, err: err}, nil
		}
		wait *= 2
		saved = s.at(step.ID).Receipt
	}
}

func (s *session) at(step string) *journal.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.state.Step(step); at != nil {
		found := *at
		return &found
	}
	return nil
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt journals the start, does the work, and holds the result.
func (s *session) attempt(
	ctx context.Context, phase *plan.Phase, step *plan.Step, kind journal.Kind, attempt int, saved json.RawMessage,
) (outcome, error) {
	event := journal.Event{
		Phase: phase.Name, Step: step.ID, Task: step.Task.Name, Kind: kind,
		Changes: step.Task.Kind == task.Changes, Attempt: attempt,
	}
	start := event
	start.Type = journal.StepStarted
	if err := s.record(ctx, start); err != nil {
		return outcome{}, err
	}
	began := time.Now()
	ended := s.work(ctx, phase, step, event, saved)
	event.Type, event.Status = journal.StepFinished, ended.status
	event.Reason, event.Hint, event.Stack, event.Receipt = ended.reason(), ended.hint(), ended.stack, ended.receipt
	event.DurationMS = time.Since(began).Milliseconds()
	s.hold(event)
	return ended, nil
}

// work calls the task and judges what it says.
func (s *session) work(
	ctx context.Context, phase *plan.Phase, step *plan.Step, event journal.Event, saved json.RawMessage,
) (ended outcome) {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if step.Timeout > 0 {
		limited, cancel = context.WithTimeoutCause(ctx, step.Timeout, fmt.Errorf("did not end within %s", step.Timeout))
	}
	defer cancel()
	defer func() {
		if panicked := recover(); panicked != nil {
			ended = outcome{status: journal.Failed, err: fmt.Errorf("panic: %v", panicked), stack: string(debug.Stack())}
		}
	}()
	instance, err := step.Instance(s.values(step.Needs()))
	if err != nil {
		return s.withoutInstance(err, step, event.Kind)
	}
	env := s.env(ctx, phase, step, event, saved)
	err = instance.Check(limited, env)
	if closed := step.Task.Kind == task.Gates && errors.Is(err, task.ErrClosed); err != nil && !closed {
		return judge(ctx, limited, nil, err) // what a closed gate saw is in the receipt of its Run
	}
	receipt, err := instance.Run(limited, env)
	return judge(ctx, limited, receipt, err)
}

// withoutInstance passes over a rollback hook that cannot be made because its
// step left no receipt, or did not get to its end and had not come to what the
// hook needs: there is nothing to take back.
func (s *session) withoutInstance(err error, step *plan.Step, kind journal.Kind) outcome {
	if kind != journal.KindRollback {
		return outcome{status: journal.Failed, err: err}
	}
	missing, ok := errors.AsType[*plan.MissingReceiptError](err)
	for _, id := range step.Needs() {
		at := s.at(id)
		if ok && missing.Step == id || at == nil || !at.Finished() {
			return outcome{status: journal.Skipped, err: fmt.Errorf("step %s left nothing to take back", id)}
		}
	}
	return outcome{status: journal.Failed, err: err}
}

func judge(ctx, limited context.Context, receipt json.RawMessage, err error) outcome {
	var skip *task.SkipError
	switch {
	case err == nil:
		return outcome{status: journal.Done, receipt: receipt}
	case errors.As(err, &skip):
		return outcome{status: journal.Skipped, err: err, receipt: receipt}
	case errors.Is(err, task.ErrClosed):
		return outcome{status: journal.Waiting, err: err, receipt: receipt}
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrOverBudget):
		return outcome{status: journal.Failed, err: context.Cause(ctx), receipt: receipt}
	case ctx.Err() != nil:
		return outcome{status: journal.Interrupted, err: context.Cause(ctx), receipt: receipt}
	case limited.Err() != nil:
		return outcome{status: journal.Failed, err: context.Cause(limited), receipt: receipt}
	}
	return outcome{status: journal.Failed, err: err, receipt: receipt}
}

// env is what the task sees of the run.
func (s *session) env(
	ctx context.Context, phase *plan.Phase, step *plan.Step, event journal.Event, saved json.RawMessage,
) *task.Env {
	env := &task.Env{
		Log:      s.options.Log.With("phase", phase.Name, "step", step.ID),
		Dir:      s.options.runDir(s.run),
		Saved:    saved,
		Mask:     s.options.Mask,
		Progress: func(int64, int64, string) {},
		Account:  s.options.Account,
		Downtime: phase.Downtime,
		Save: func(receipt any) error {
			raw, err := json.Marshal(receipt)
			if err != nil {
				return fmt.Errorf("encode the receipt: %w", err)
			}
			event := event
			event.Type, event.Receipt = journal.StepSaved, raw
			return s.record(ctx, event)
		},
	}
	if step.Task.Kind == task.Gates {
		s.mu.Lock()
		s.options.rehearsed(env, s.plan.Name, s.plan.Path, s.plan.Digest)
		judgeable(env, s.plan, s.state, phase.Name, step.ID)
		env.Reviews = s.options.Reviews
		s.mu.Unlock()
	}
	if report := s.options.Progress; report != nil {
		env.Progress = func(done, total int64, unit string) {
			report(Progress{Phase: phase.Name, Step: step.ID, Done: done, Total: total, Unit: unit})
		}
	}
	if ask := s.options.Ask; ask != nil {
		env.Ask = func(ctx context.Context, q task.Question) (task.Answer, error) {
			return ask(ctx, Place{phase, step}, q)
		}
	}
	return env
}
