package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
)

// measure adds what runs and rehearsals of this very plan took. Nothing is
// estimated: what was not measured is said not to be, and a journal that cannot be
// read is no reason to show nothing.
func (a *app) measure(ctx context.Context, p *plan.Plan, shown *preview) {
	known, err := a.measurements(ctx, p)
	if err != nil {
		shown.Unread = err.Error()
	}
	for i := range shown.Phases {
		phase := &shown.Phases[i]
		phase.Measured, phase.MeasuredBack = found(known.Forward, phase.Name), found(known.Back, phase.Name)
		phase.Watched, phase.unread = len(p.Probes) > 0, err != nil
	}
	for i := range shown.Rollbacks {
		shown.Rollbacks[i].unread = err != nil
		shown.Rollbacks[i].measure(shown.Phases[:i+1])
	}
}

func (a *app) measurements(ctx context.Context, p *plan.Plan) (runner.Measurements, error) {
	store, err := peekJournal(ctx, a.Journal)
	if err != nil || store == nil {
		return runner.Measurements{}, err
	}
	if closer, ok := store.(io.Closer); ok {
		defer closer.Close()
	}
	return runner.Measure(ctx, store, p)
}

func found(known map[string]runner.Measurement, phase string) *runner.Measurement {
	if m, ok := known[phase]; ok {
		return &m
	}
	return nil
}

// measure adds up what taking the phases back took, if each of them that has
// hooks was measured.
func (r *rollbackSketch) measure(phases []phasePreview) {
	var sum int64
	for _, phase := range phases {
		if len(phase.Rollback) == 0 {
			continue
		}
		if phase.MeasuredBack == nil {
			return
		}
		sum += phase.MeasuredBack.DurationMS
	}
	if len(r.Hooks) > 0 {
		r.MeasuredMS = &sum
	}
}

// downtime says how long users were without the service when the phase was last
// carried out, or that nobody measured it.
func (p phasePreview) downtime() string {
	switch {
	case p.BudgetMS == 0 && (p.Measured == nil || p.Measured.DowntimeMS == 0):
		return ""
	case p.unread:
		return "expected downtime: unknown, the journal could not be read"
	case p.Measured == nil:
		return "expected downtime: not measured yet, rehearse the plan as it is"
	case !p.Watched:
		return "expected downtime: not measured, the plan has no probes"
	}
	return fmt.Sprintf("expected downtime: %s, as the probes saw it %s", milliseconds(p.Measured.DowntimeMS), source(p.Measured))
}

// source says where a measurement comes from.
func source(m *runner.Measurement) string {
	what := "in run "
	if m.Rehearsal {
		what = "in rehearsal "
	}
	return what + m.Run + " of " + m.Ended.UTC().Format("2006-01-02")
}

// lasted says how long the rollback took when it was last carried out.
func (r rollbackSketch) lasted() string {
	switch {
	case len(r.Hooks) == 0:
		return ""
	case r.unread:
		return "takes: unknown, the journal could not be read"
	case r.MeasuredMS == nil:
		return "takes: not measured yet, rehearse the plan as it is"
	}
	return "takes: " + milliseconds(*r.MeasuredMS) + " when each phase of it was last taken back"
}
