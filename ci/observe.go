package ci

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/medlogistics/phasegate/runner/journal"
)

// An Observer tells the runner and the reviewers of a run while it lasts: a
// group for each step in the log, an annotation for what failed, and at the end
// the job's outputs and its page.
type Observer struct {
	job  *Job
	line func(step string) (file string, line, column int) // where a step stands in the plan

	mu          sync.Mutex
	endGroup    func()
	annotations int
}

// Observe returns an observer. The function line says where a step stands in the
// plan's file.
func (j *Job) Observe(line func(step string) (file string, line, column int)) *Observer {
	return &Observer{job: j, line: line, endGroup: func() {}}
}

// Event is told each event once it is on disk.
func (o *Observer) Event(e journal.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e.Type {
	case journal.StepStarted:
		o.endGroup()
		o.endGroup = o.job.Group(fmt.Sprintf("%s / %s (%s)", e.Phase, e.Step, e.Task))
	case journal.StepFinished:
		o.endGroup()
		o.endGroup = func() {}
		o.mark(e)
	case journal.PhaseFinished:
		if e.BudgetMS > 0 && e.DowntimeMS > e.BudgetMS {
			o.annotate("error", "", "downtime", fmt.Sprintf("phase %s: users were without the service for %s of %s",
				e.Phase, took(e.DowntimeMS), took(e.BudgetMS)))
		}
	}
}

// Warn annotates a warning, of a step or, if that is "", of the run. It may hold no
// secrets. In the log it lies in the step's group, which nobody unfolds.
func (o *Observer) Warn(step, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.annotate("warning", step, cmp.Or(step, "phasegate"), text)
}

// mark annotates a step that did not come to its end, at its place in the plan.
func (o *Observer) mark(e journal.Event) {
	message := e.Reason
	if e.Hint != "" {
		message += "\nhint: " + e.Hint
	}
	switch e.Status {
	case journal.Failed:
		o.annotate("error", e.Step, e.Phase+"/"+e.Step+" failed", message)
	case journal.Waiting:
		o.annotate("notice", e.Step, e.Phase+"/"+e.Step+" waits", message)
	case journal.Interrupted:
		o.annotate("warning", e.Step, e.Phase+"/"+e.Step+" was interrupted", message)
	}
}

func (o *Observer) annotate(level, step, title, message string) {
	if o.annotations++; o.annotations >= mostAnnotations {
		return // Close says how many; the log and the page have them
	}
	file, line, column := "", 0, 0
	if step != "" {
		file, line, column = o.line(step)
	}
	o.job.annotate(level, file, line, column, title, message)
}

// Close writes the outputs and the page of the run, whose whole events these
// are, those of earlier sessions too.
func (o *Observer) Close(events []journal.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endGroup()
	o.endGroup = func() {}
	if more := o.annotations - mostAnnotations + 1; more > 0 {
		o.job.annotate("notice", "", 0, 0, "phasegate", fmt.Sprintf("%d more are in the log and in the run's journal", more))
		o.annotations = 0
	}
	state := journal.Fold(events)
	if state == nil {
		return nil
	}
	var dropped []error
	for _, output := range outputs(state) {
		dropped = append(dropped, o.job.Output(output[0], output[1]))
	}
	return errors.Join(append(dropped, o.job.Summarize(o.job.page(events), "in the run's journal"))...)
}

// outputs are small and scalar: a job's outputs that hold anything masked are
// dropped whole, and nothing here ever does.
func outputs(state *journal.State) [][2]string {
	phase, gate := "", ""
	done, failed := 0, 0
	for _, at := range state.Phases {
		if at.Status != "" && at.Status != journal.Done && phase == "" {
			phase = at.Name
		}
		for _, step := range at.Steps {
			switch {
			case step.Finished():
				done++
			case step.Status == journal.Failed:
				failed++
			case step.Status == journal.Waiting:
				gate = step.ID
			}
		}
	}
	return [][2]string{
		{"run", state.Run},
		{"status", string(state.Status)},
		{"phase", phase},
		{"gate", gate},
		{"digest", state.Digest},
		{"steps-done", strconv.Itoa(done)},
		{"steps-failed", strconv.Itoa(failed)},
	}
}
