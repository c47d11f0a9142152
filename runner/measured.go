package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// A Measurement is what the journal of one run tells of a phase that was carried
// out to its end, or wholly taken back.
type Measurement struct {
	Run        string    `json:"run"`         // its name
	Rehearsal  bool      `json:"rehearsal"`   // it worked on a sandbox
	Ended      time.Time `json:"ended"`       // when the phase did
	DurationMS int64     `json:"duration_ms"` // in milliseconds, over all sessions
	DowntimeMS int64     `json:"downtime_ms"` // as the probes saw it; 0 too if the plan has none
}

// Measurements are the newest of each phase, by its name.
type Measurements struct {
	Forward map[string]Measurement
	Back    map[string]Measurement // of its rollback
}

// Measure looks in the store for what runs and rehearsals of this very plan, by
// its digest, took. A journal that does not fit tells nothing. It only reads.
func Measure(ctx context.Context, store journal.Store, p *plan.Plan) (Measurements, error) {
	m := Measurements{Forward: map[string]Measurement{}, Back: map[string]Measurement{}}
	runs, err := store.Runs(ctx)
	if err != nil {
		return m, fmt.Errorf("look for what runs took: %w", err)
	}
	for _, run := range slices.Backward(runs) {
		events, err := store.Read(ctx, run)
		_, foreign := errors.AsType[*journal.ContractError](err)
		_, damaged := errors.AsType[*journal.DamagedError](err)
		if foreign || damaged {
			continue
		}
		if err != nil {
			return m, fmt.Errorf("look for what runs took: %w", err)
		}
		if state := journal.Fold(events); state != nil && state.Plan == p.Name && state.Digest == p.Digest {
			m.take(state, events)
		}
	}
	return m, nil
}

// take adds what a run tells of phases that no newer one told of.
func (m Measurements) take(state *journal.State, events []journal.Event) {
	forward, back := map[string]Measurement{}, map[string]Measurement{}
	for _, e := range events {
		if e.Type != journal.PhaseFinished {
			continue
		}
		of := forward
		if e.Kind == journal.KindRollback {
			of = back
		}
		took := of[e.Phase]
		of[e.Phase] = Measurement{
			Run: state.Run, Rehearsal: state.Rehearsal, Ended: e.Time,
			DurationMS: took.DurationMS + e.DurationMS, DowntimeMS: took.DowntimeMS + e.DowntimeMS,
		}
	}
	for _, phase := range state.Phases {
		keep(m.Forward, forward, phase.Name, phase.Status == journal.Done)
		keep(m.Back, back, phase.Name, phase.Rollback == journal.Done || phase.Rollback == journal.RolledBack)
	}
}

func keep(known, found map[string]Measurement, phase string, whole bool) {
	_, before := known[phase]
	if took, ok := found[phase]; ok && whole && !before {
		known[phase] = took
	}
}
