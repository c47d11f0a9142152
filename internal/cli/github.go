package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// findJob finds the job of GitHub Actions that this process works in. From then
// on whoever started the workflow is the account, and what is written for people
// holds no command for the runner.
func (a *app) findJob() error {
	in, _ := a.Lookup.Lookup("GITHUB_ACTIONS")
	switch {
	case a.ci == "none" || a.ci == "" && in != "true":
		return nil
	case a.ci != "" && a.ci != "github":
		return fail(ExitUsage, task.Hint(fmt.Errorf("--ci is %q", a.ci), "write github or none"))
	}
	job, err := ci.FromEnvironment(a.Lookup.Lookup, a.Err)
	if err != nil {
		return fail(ExitUsage, task.Hint(err, "leave --ci github away, or set what GitHub's runner sets"))
	}
	a.job, a.Account = job, job.Actor
	a.Out, a.Err = ci.NewGuard(a.Out), ci.NewGuard(a.Err)
	a.Live, a.OutLive, a.person = false, false, nil // nobody is there, even if the step has a terminal
	return nil
}

// commands is where commands for the runner go: the output that is guarded.
func (a *app) commands() io.Writer {
	if guard, ok := a.Out.(*ci.Guard); ok {
		return guard.Commands()
	}
	return a.Out
}

// flush writes what a guarded log has held back.
func (a *app) flush() {
	for _, log := range []io.Writer{a.Out, a.Err} {
		if guard, ok := log.(*ci.Guard); ok {
			_ = guard.Flush()
		}
	}
}

// failJob tells the job's runner why the call did not do what it was asked for.
func (a *app) failJob(err error) {
	if a.job == nil {
		return
	}
	message := err.Error()
	if hint := task.HintOf(err); hint != "" {
		message += "\nhint: " + hint
	}
	a.job.Fail(message)
}

// previewInJob puts a preview on the job's page, where reviewers read it, and
// its digest into the job's outputs, where the jobs behind the approval find it.
func (a *app) previewInJob(shown *preview) error {
	if a.job == nil {
		return nil
	}
	err := a.job.Output("digest", shown.Digest)
	if err == nil {
		shown.asked = a.job.Asked()
		err = a.job.Summarize(shown.markdown(), "in this step's log")
	}
	if err != nil {
		return fail(ExitFailed, fmt.Errorf("tell the job of the preview: %w", err))
	}
	return nil
}

// maskInJob has the runner keep the secrets out of the job's log, before
// anything could write one.
func (a *app) maskInJob(secrets []redact.Secret) {
	if a.job == nil {
		return
	}
	for _, secret := range secrets {
		a.job.Mask(secret.Reveal())
	}
}

// inJob has the job's runner and reviewers told of the run, and its reviews
// asked for. The function that it returns writes the outputs and the page.
func (a *app) inJob(ctx context.Context, p *plan.Plan, o *runner.Options) (func(*journal.State), error) {
	if a.job == nil {
		return func(*journal.State) {}, nil
	}
	driver, err := a.driver(ctx)
	if err != nil {
		return nil, fail(ExitUsage, err)
	}
	observer := a.job.Observe(func(step string) (string, int, int) {
		if at, _, ok := p.Step(step); ok {
			return p.Path, at.Pos.Line, at.Pos.Column
		}
		return p.Path, 0, 0
	})
	if log, ok := o.Log.Handler().(*lineHandler); ok {
		log.warned = func(step, text string) { observer.Warn(step, o.Mask(text)) }
	}
	o.Observe, o.Reviews, o.Driver = both(o.Observe, observer.Event), a.job.Reviews, driver
	return func(state *journal.State) {
		if state == nil {
			return
		}
		events, err := o.Store.Read(context.WithoutCancel(ctx), state.Run)
		if err == nil {
			err = observer.Close(events)
		}
		if err != nil {
			a.log.Warn("the job's outputs and its page are not complete", "reason", err.Error())
		}
	}, nil
}

// driver is what the journal keeps of the job. Where the job may ask for its
// identity token, what GitHub says in it is kept too.
func (a *app) driver(ctx context.Context) (json.RawMessage, error) {
	identity, known, err := a.job.Identity(ctx)
	if err != nil {
		a.log.Warn("the job's identity is not known", "reason", err.Error())
	}
	evidence := map[string]any{
		"github": map[string]any{
			"repository": a.job.Repository, "run_id": a.job.RunID, "run_attempt": a.job.Attempt, "actor": a.job.Actor,
		},
	}
	if known {
		evidence["identity"] = identity
	}
	raw, err := json.Marshal(evidence)
	if err != nil {
		return nil, errors.Join(errors.New("describe the job for the journal"), err)
	}
	return raw, nil
}
