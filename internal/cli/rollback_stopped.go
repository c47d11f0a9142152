package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// When a run that stopped is taken back, for a job's last step: it is called
// whatever happened before, and finds out by the journal what that was.
const (
	stoppedAsPlanned = "as-planned" // if it was stopped in a phase that is to be rolled back on failure
	stoppedAlways    = "always"     // if it failed or was stopped, wherever
)

// takeBackStopped takes back the run that was stopped, if there is one.
func (a *app) takeBackStopped(ctx context.Context, p *plan.Plan, o runner.Options, policy string, json bool) error {
	run, why, err := a.stopped(ctx, p, o, policy)
	if err != nil {
		return err
	}
	if run == "" {
		fmt.Fprintf(a.Err, "nothing is taken back: %s\n", why)
		return nil
	}
	o.Run = run
	return a.takeBack(ctx, p, o, json)
}

// stopped returns the run to take back, or why there is none. A failure in a
// phase with on_failure: rollback was taken back by the run itself; what is left
// to do as planned is what a signal, a timeout or a death kept it from.
func (a *app) stopped(ctx context.Context, p *plan.Plan, o runner.Options, policy string) (run, why string, err error) {
	if policy != stoppedAsPlanned && policy != stoppedAlways {
		return "", "", fail(ExitUsage, task.Hint(fmt.Errorf("--if-stopped is %q", policy), "write as-planned or always"))
	}
	state, ours, err := a.newest(ctx, p, o)
	if err != nil {
		return "", "", fail(ExitFailed, err)
	}
	switch {
	case state == nil:
		return "", "the plan has no run", nil
	case !ours:
		return "", fmt.Sprintf("run %s is not of this workflow's run", state.Run), nil
	case !state.Changed():
		return "", fmt.Sprintf("run %s changed nothing", state.Run), nil
	case state.Status == journal.RollingBack:
		return state.Run, "", nil
	case state.Status == journal.Interrupted && (policy == stoppedAlways || rollsBack(p, state)),
		state.Status == journal.Failed && policy == stoppedAlways:
		return state.Run, "", nil
	case state.Status == journal.Interrupted:
		return "", fmt.Sprintf("run %s stopped in a phase that the plan leaves as it is on failure; call run to go on with it", state.Run), nil
	}
	return "", fmt.Sprintf("run %s is %s", state.Run, state.Status), nil
}

// newest returns the plan's newest run, or the one that was asked for, and
// whether the job's own workflow worked on it last. Outside of a job every run
// is the caller's own.
func (a *app) newest(ctx context.Context, p *plan.Plan, o runner.Options) (state *journal.State, ours bool, err error) {
	runs, err := o.Store.Runs(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, run := range slices.Backward(runs) {
		if o.Run != "" && run != o.Run {
			continue
		}
		state, err := runner.Status(ctx, o.Store, run)
		if err != nil {
			return nil, false, err
		}
		if state.Plan != p.Name || state.Rehearsal {
			continue
		}
		if a.job == nil {
			return state, true, nil
		}
		events, err := o.Store.Read(ctx, run)
		return state, drivenBy(events) == a.job.RunID, err
	}
	return nil, false, nil
}

// drivenBy is the id of the workflow's run that worked on a run last, "" if that
// was a person.
func drivenBy(events []journal.Event) string {
	for _, e := range slices.Backward(events) {
		if e.Type != journal.Opened {
			continue
		}
		var driver struct {
			GitHub struct {
				RunID string `json:"run_id"`
			} `json:"github"`
		}
		_ = json.Unmarshal(e.Driver, &driver) // a person is none
		return driver.GitHub.RunID
	}
	return ""
}

// rollsBack tells whether the phase in which the run stopped is to be taken back
// when it fails.
func rollsBack(p *plan.Plan, state *journal.State) bool {
	for _, phase := range slices.Backward(p.Phases) {
		if at := state.Phase(phase.Name); at != nil && at.Status != "" {
			return at.Status != journal.Done && phase.OnFailure == plan.Rollback
		}
	}
	return false
}
