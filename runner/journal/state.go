package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// State is where a run stands: the fold of its events.
type State struct {
	Run    string `json:"run"`              // its name
	Plan   string `json:"plan"`             // its name
	File   string `json:"file"`             // the plan's file, as it was last named
	Digest string `json:"digest"`           // SHA-256 of the plan and its files, in hex
	Status Status `json:"status"`           // how the run stands
	Reason string `json:"reason,omitempty"` // why it stands so
	Hint   string `json:"hint,omitempty"`   // what can be done about it
	Holder Holder `json:"holder"`           // who has it, or had it last
	Held   bool   `json:"held"`             // whether that process lives; the journal's store knows, not its events

	Rehearsal bool   `json:"rehearsal,omitempty"` // it works on a sandbox
	Initiator string `json:"initiator,omitempty"` // the account that began it

	Variables map[string]string `json:"variables,omitempty"` // fingerprints, by name
	Files     map[string]string `json:"files,omitempty"`     // SHA-256 of the plan's files as the run began, in hex, by name

	Began    time.Time `json:"began"`     // time of the first event
	LastSeen time.Time `json:"last_seen"` // time of the last event

	Phases []*Phase `json:"phases"` // all of the plan's, in its order

	steps map[string]*Step
}

// A Holder is the process of a session.
type Holder struct {
	PID   int       `json:"pid"`            // of the process
	Host  string    `json:"host"`           // its machine
	Since time.Time `json:"since,omitzero"` // when it took the run up
}

// A Phase is where one phase stands. Status is "" before it starts.
type Phase struct {
	Name       string  `json:"name"`               // as in the plan
	Status     Status  `json:"status"`             // "" before it starts
	Rollback   Status  `json:"rollback,omitempty"` // of its hooks, if they were called
	Reason     string  `json:"reason,omitempty"`   // why it stands so
	DurationMS int64   `json:"duration_ms"`        // in milliseconds, over all sessions
	DowntimeMS int64   `json:"downtime_ms"`        // as the probes saw it
	Steps      []*Step `json:"steps"`              // in the order in which they first started
}

// A Step is where one step stands.
type Step struct {
	ID         string          `json:"id"`                // as in the plan
	Task       string          `json:"task"`              // what the step carries out
	Kind       Kind            `json:"kind"`              // in which list of its phase it stands
	Changes    bool            `json:"changes"`           // the task may change something
	Status     Status          `json:"status"`            // how the step stands
	Attempts   int             `json:"attempts"`          // over all sessions
	Reason     string          `json:"reason,omitempty"`  // why it stands so
	Hint       string          `json:"hint,omitempty"`    // what can be done about it
	Receipt    json.RawMessage `json:"receipt,omitempty"` // the last one, whole or in part
	DurationMS int64           `json:"duration_ms"`       // of the last attempt, in milliseconds

	Statements []Statement `json:"statements,omitempty"` // that people signed about a gate
}

// A Statement is what a person signed about a gate.
type Statement struct {
	Text      string `json:"statement"` // the bytes that were signed
	Signature string `json:"signature"` // of them, in OpenSSH's armored form

	Time time.Time `json:"time"` // when it came into the journal
}

// Finished tells whether the step is never run again.
func (s *Step) Finished() bool { return s.Status == Done || s.Status == Skipped }

// Fold returns the state that the events lead to. It is nil without events.
func Fold(events []Event) *State {
	if len(events) == 0 {
		return nil
	}
	s := &State{}
	for _, e := range events {
		s.Apply(e)
	}
	return s
}

// orNil returns the state, or nil if nothing was applied to it.
func (s *State) orNil() *State {
	if s.steps == nil {
		return nil
	}
	return s
}

// Apply takes one more event into the state.
func (s *State) Apply(e Event) {
	if s.steps == nil {
		s.steps = map[string]*Step{}
	}
	s.LastSeen = e.Time
	switch e.Type {
	case Opened:
		s.open(e)
	case PhaseStarted:
		s.startPhase(e)
	case StepStarted:
		s.startStep(e)
	case StepSaved:
		if step := s.steps[e.Step]; step != nil {
			step.Receipt = e.Receipt
		}
	case StepFinished:
		s.finishStep(e)
	case Stated:
		if step := s.steps[e.Step]; step != nil {
			step.Statements = append(step.Statements, Statement{e.Statement, e.Signature, e.Time})
		}
	case PhaseFinished:
		s.finishPhase(e)
	case RollbackStarted:
		s.Status = RollingBack
	case RollbackFinished, Closed:
		s.Status, s.Reason, s.Hint = e.Status, e.Reason, e.Hint
	}
}

func (s *State) open(e Event) {
	if s.Run == "" {
		s.Run, s.Plan, s.Began, s.Variables, s.Initiator = e.Run, e.Plan, e.Time, e.Variables, e.By
		s.Files, s.Rehearsal = e.Files, e.Rehearsal
		for _, name := range e.Phases {
			s.Phases = append(s.Phases, &Phase{Name: name, Steps: []*Step{}})
		}
	}
	s.File, s.Digest = e.File, e.Digest
	s.Holder = Holder{PID: e.PID, Host: e.Host, Since: e.Time}
	if s.Status != RollingBack && s.Status != RollbackIncomplete {
		s.Status, s.Reason, s.Hint = Running, "", ""
	}
}

func (s *State) startPhase(e Event) {
	phase := s.phase(e.Phase)
	if e.Kind == KindRollback {
		phase.Rollback = Running
		return
	}
	phase.Status, phase.Reason = Running, ""
}

func (s *State) startStep(e Event) {
	step := s.steps[e.Step]
	if step == nil {
		step = &Step{ID: e.Step, Task: e.Task, Kind: e.Kind, Changes: e.Changes}
		s.steps[e.Step] = step
		phase := s.phase(e.Phase)
		phase.Steps = append(phase.Steps, step)
	}
	step.Status, step.Attempts = Running, e.Attempt
	step.Reason, step.Hint = "", ""
}

func (s *State) finishStep(e Event) {
	step := s.steps[e.Step]
	if step == nil {
		return
	}
	step.Status, step.Reason, step.Hint = e.Status, e.Reason, e.Hint
	step.DurationMS = e.DurationMS
	if e.Receipt != nil {
		step.Receipt = e.Receipt
	}
}

func (s *State) finishPhase(e Event) {
	phase := s.phase(e.Phase)
	if e.Kind == KindRollback {
		phase.Rollback = e.Status
		phase.DowntimeMS += e.DowntimeMS
		return
	}
	phase.Status, phase.Reason = e.Status, e.Reason
	phase.DurationMS += e.DurationMS
	phase.DowntimeMS += e.DowntimeMS
}

func (s *State) phase(name string) *Phase {
	i := slices.IndexFunc(s.Phases, func(p *Phase) bool { return p.Name == name })
	if i < 0 {
		s.Phases = append(s.Phases, &Phase{Name: name, Steps: []*Step{}})
		i = len(s.Phases) - 1
	}
	return s.Phases[i]
}

// Step returns where a step stands, nil if it never started.
func (s *State) Step(id string) *Step { return s.steps[id] }

// Phase returns where a phase stands, nil if the plan has none of that name.
func (s *State) Phase(name string) *Phase {
	for _, p := range s.Phases {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Receipts returns the last receipt of every step that left one.
func (s *State) Receipts() map[string]json.RawMessage {
	receipts := make(map[string]json.RawMessage, len(s.steps))
	for id, step := range s.steps {
		if step.Receipt != nil {
			receipts[id] = step.Receipt
		}
	}
	return receipts
}

// ReceiptSums returns the SHA-256, in hex, of the receipts of the finished steps in
// the phases before one, by step id: what an approval at its gates rests on.
func (s *State) ReceiptSums(phase string) map[string]string {
	sums := map[string]string{}
	for _, at := range s.Phases {
		if at.Name == phase {
			break // what a gate lets happen does not change what it was opened for
		}
		for _, step := range at.Steps {
			if step.Kind == KindStep && step.Finished() && step.Receipt != nil {
				sum := sha256.Sum256(step.Receipt)
				sums[step.ID] = hex.EncodeToString(sum[:])
			}
		}
	}
	return sums
}

// Changed tells whether a step that may change something ever started.
func (s *State) Changed() bool {
	for _, step := range s.steps {
		if step.Changes {
			return true
		}
	}
	return false
}

// Ended tells whether nothing more can be done for the run.
func (s *State) Ended() bool { return s.Status == RolledBack }

// GoingBack tells whether a rollback has begun and is not complete.
func (s *State) GoingBack() bool { return s.Status == RollingBack || s.Status == RollbackIncomplete }

// Resumable tells whether run can go on with it.
func (s *State) Resumable() bool {
	switch s.Status {
	case Running, Failed, Waiting, Interrupted, Open:
		return true
	}
	return false
}
