// Package runner carries out a plan, takes it back, and says where it stands.
//
// These rules hold, whatever dies and whenever:
//
//  1. A step's start is on disk before it acts; its result is on disk before
//     the next one acts. If the journal cannot be written, nothing is done.
//  2. A step recorded as done or skipped is not run again; one that was
//     started, failed or interrupted is. A run goes on only with the plan's
//     digest and the variables with which it began. What lasts only while
//     nobody undoes it, such as a stopped service, is looked at again first.
//  3. When the context ends, the run stops at the next safe point, journals
//     that, and returns. A task that panics is a failed step with its stack.
//  4. On failure the phase's on_failure decides, once something was changed;
//     before that a failure halts. A rollback goes through the
//     phases that started, last first, and each one's hooks in order. It
//     collects errors and never stops early; it can itself be interrupted and
//     taken up again, by another process, from the first hook of the phase
//     that is not wholly back.
//  5. Gates are looked at again on resume, and after another gate of the phase
//     took long: an old "open" proves nothing now.
//     Waiting for a person holds no process.
//  6. A run has one writer and a target one run, by locks that a dead process
//     cannot keep.
//  7. A phase's downtime is what the probes saw from outside.
package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// Options are what a run needs besides its plan.
type Options struct {
	Store   journal.Store
	Dir     string       // each run's artifacts go to a folder of its name in here
	Environ plan.Environ // the plan's variables, already checked
	Run     string       // the run to go on with; "" is the plan's newest
	From    string       // first phase; "" is the plan's first
	To      string       // last phase; "" is the plan's last
	Version string       // of phasegate, for the journal

	// Rehearsal marks a new run as one on a sandbox. Such runs, and no others, are
	// gone on with and taken back.
	Rehearsal bool
	Account   string // that this process works for, for the journal and the gates
	Log       *slog.Logger

	// Clock is what events are dated by. Nil is the system's.
	Clock func() time.Time

	// Mask takes secrets out of a text. Nil changes nothing.
	Mask func(string) string

	// Observe is told each event once it is on disk. Nil is nobody.
	Observe func(journal.Event)

	// Progress is told how far a step is. Nil is nobody.
	Progress func(Progress)

	// Driver is what drives the run, a JSON object for the journal. Nil is a person.
	Driver json.RawMessage

	// Reviews is what people decided where a forge drives the run. Nil is no forge.
	Reviews func(ctx context.Context) ([]task.Review, error)

	// Ask puts a gate's question to a person. Nil is nobody there.
	Ask func(ctx context.Context, at Place, q task.Question) (task.Answer, error)
}

// Place is where in a plan something happens.
type Place struct {
	Phase *plan.Phase
	Step  *plan.Step
}

// Progress is how far a step is: Done of Total units. A Total of 0 is unknown.
type Progress struct {
	Phase, Step string
	Done, Total int64
	Unit        string
}

// A RefusedError says why a run was not begun or gone on with. Nothing was done.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

func refuse(hint, format string, args ...any) error {
	return &RefusedError{task.Hint(fmt.Errorf(format, args...), hint)}
}

// Run begins a run of p, or goes on with its open one, and carries out the
// asked-for phases. The state tells how it ended, failures of steps included;
// the error is about the run as a whole: a *RefusedError, or a journal that
// could not be written.
func Run(ctx context.Context, p *plan.Plan, o Options) (*journal.State, error) {
	phases, err := between(p, o.From, o.To)
	if err != nil {
		return nil, err
	}
	unlock, err := lockTarget(ctx, p, o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := openForRun(ctx, p, o, phases[0].Name)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if s.state.Status == journal.Done {
		return s.state, nil
	}
	if err := s.begin(ctx, "run"); err != nil {
		return s.state, err
	}
	held, cancel := s.whileHeld(ctx)
	defer cancel()
	err = s.carryOut(held, phases)
	return s.state, err
}

// carryOut runs the phases in order and closes the session.
func (s *session) carryOut(ctx context.Context, phases []plan.Phase) error {
	watched := s.watch(ctx)
	defer watched.stop()
	for i := range phases {
		end, err := s.phase(ctx, &phases[i], watched)
		if err != nil {
			return err
		}
		switch {
		case end.status == journal.Done:
			continue
		case end.status == journal.Failed && phases[i].OnFailure == plan.Rollback && s.state.Changed() && !end.halts:
			return s.rollback(ctx, watched)
		}
		return s.end(end)
	}
	if s.allDone() {
		return s.end(outcome{status: journal.Done})
	}
	return s.end(outcome{status: journal.Open})
}

func (s *session) allDone() bool {
	for _, phase := range s.plan.Phases {
		if at := s.state.Phase(phase.Name); at == nil || at.Status != journal.Done {
			return false
		}
	}
	return true
}

// needEarlier refuses to start at a phase before those that it builds on.
func needEarlier(p *plan.Plan, state *journal.State, first string) error {
	for _, phase := range p.Phases {
		if phase.Name == first {
			return nil
		}
		if at := state.Phase(phase.Name); at == nil || at.Status != journal.Done {
			return refuse("run the phases in their order, or the whole plan: it goes on where it stopped",
				"phase %s builds on phase %s, which is not done", first, phase.Name)
		}
	}
	return nil
}

// between returns the plan's phases from one to another, both included.
func between(p *plan.Plan, from, to string) ([]plan.Phase, error) {
	first, last := 0, len(p.Phases)-1
	for i, phase := range p.Phases {
		if phase.Name == from {
			first = i
		}
		if phase.Name == to {
			last = i
		}
	}
	for _, name := range []string{from, to} {
		if name != "" && p.Phases[first].Name != name && p.Phases[last].Name != name {
			return nil, refuse("the plan's phases are "+phaseNames(p), "the plan has no phase %s", name)
		}
	}
	if first > last {
		return nil, refuse("the plan's phases are "+phaseNames(p), "phase %s does not come before phase %s", from, to)
	}
	return p.Phases[first : last+1], nil
}

func (o Options) now() time.Time {
	if o.Clock == nil {
		return time.Now().UTC()
	}
	return o.Clock().UTC()
}

func (o Options) runDir(run string) string { return filepath.Join(o.Dir, run) }
