package runner

import (
	"context"
	"errors"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Waiting is a gate at which a run waits, as somebody who decides on it has to
// know it.
type Waiting struct {
	State    *journal.State
	Phase    *plan.Phase
	Step     *plan.Step
	Instance task.Instance
	Env      *task.Env
}

// WaitingAt returns the gate of that id of run o.Run, which has to have come to it
// and not past it, even where the process died there. It changes nothing.
func WaitingAt(ctx context.Context, p *plan.Plan, o Options, gate string) (*Waiting, error) {
	events, err := o.Store.Read(ctx, o.Run)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, refuse("phasegate status lists the runs", "there is no run %s", o.Run)
	}
	if err != nil {
		return nil, err
	}
	return waitingAt(p, o, journal.Fold(events), gate)
}

func waitingAt(p *plan.Plan, o Options, state *journal.State, gate string) (*Waiting, error) {
	if state == nil {
		return nil, refuse("phasegate status lists the runs", "run %s has not begun", o.Run)
	}
	if state.Digest != p.Digest {
		return nil, edited(p, o, state)
	}
	phase, step := findGate(p, gate)
	if step == nil {
		return nil, refuse("phasegate status "+o.Run+" shows where the run waits", "plan %s has no gate %s", p.Name, gate)
	}
	at := state.Step(gate)
	if at == nil || at.Finished() || state.GoingBack() || state.Ended() {
		return nil, refuse("phasegate status "+o.Run+" shows where the run stands; what is approved has to be seen first",
			"run %s does not wait at gate %s", o.Run, gate)
	}
	instance, err := step.Instance(plan.Values{Env: o.Environ, Run: o.Run, Digest: p.Digest, Receipts: state.Receipts()})
	if err != nil {
		return nil, err
	}
	env := &task.Env{
		Log: o.Log, Dir: o.runDir(o.Run), Saved: at.Receipt, Account: o.Account,
		Save:     func(any) error { return nil },
		Progress: func(int64, int64, string) {},
	}
	judgeable(env, p, state, phase.Name, gate)
	return &Waiting{State: state, Phase: phase, Step: step, Instance: instance, Env: env}, nil
}

// Attest journals what a person signed about the gate at which run o.Run waits.
// The gate judges it when the run goes on.
func Attest(ctx context.Context, p *plan.Plan, o Options, gate string, said task.Statement) error {
	writer, events, err := o.Store.Open(ctx, o.Run)
	if errors.Is(err, journal.ErrHeld) {
		return refuse("wait until it waits again; phasegate status shows who has it", "another phasegate is at work on run %s", o.Run)
	}
	if err != nil {
		return err
	}
	defer writer.Close()
	at, err := waitingAt(p, o, journal.Fold(events), gate)
	if err != nil {
		return err
	}
	written, err := writer.Append(ctx, journal.Event{
		Type: journal.Stated, Contract: journal.Contract, Run: o.Run, Time: o.now(), Phase: at.Phase.Name, Step: gate,
		Statement: said.Text, Signature: said.Signature,
	})
	if err == nil && o.Observe != nil {
		o.Observe(written[0])
	}
	return err
}

func findGate(p *plan.Plan, id string) (*plan.Phase, *plan.Step) {
	for i := range p.Phases {
		for j := range p.Phases[i].Gates {
			if p.Phases[i].Gates[j].ID == id {
				return &p.Phases[i], &p.Phases[i].Gates[j]
			}
		}
	}
	return nil, nil
}

// judgeable gives a gate what it judges approvals by.
func judgeable(env *task.Env, p *plan.Plan, state *journal.State, phase, gate string) {
	env.Initiator = state.Initiator
	env.Basis = task.Basis{
		Plan: p.Name, Digest: p.Digest, Run: state.Run, Phase: phase, Gate: gate, Receipts: state.ReceiptSums(phase),
	}
	if at := state.Step(gate); at != nil {
		for _, said := range at.Statements {
			env.Statements = append(env.Statements, task.Statement(said))
		}
	}
}
