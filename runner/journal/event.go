// Package journal is the memory of a run: append-only events, the only state
// there is. What a run has done, what to do next and what to report are folds
// of its events.
//
// Events are a contract with every program that reads them, named in the first
// event of every session: readers ignore fields and types that they do not
// know, and a breaking change raises the major version.
package journal

import (
	"encoding/json"
	"time"
)

// Type says what an event tells.
type Type string

// The types of events, in the order in which a session writes them. A session
// is what one process does for a run, from opened to closed.
const (
	Opened           Type = "opened"            // a process took the run up
	PhaseStarted     Type = "phase_started"     //
	StepStarted      Type = "step_started"      // on disk before the step acts
	StepSaved        Type = "step_saved"        // a receipt so far
	StepFinished     Type = "step_finished"     //
	Outage           Type = "outage"            // a probe saw the service away, and back
	PhaseFinished    Type = "phase_finished"    //
	RollbackStarted  Type = "rollback_started"  // from here on the run only goes back
	RollbackFinished Type = "rollback_finished" //
	Closed           Type = "closed"            // the process let go of the run
	Stated           Type = "stated"            // between sessions: what a person signed about a gate
)

// Status is how a step, a phase or a run stands.
type Status string

// The statuses. A step is Done, Skipped, Failed, Waiting (a closed gate) or
// Interrupted; a phase and a run have those and the ones that say so.
const (
	Running            Status = "running"             // somebody is at work on it, or died at it
	Done               Status = "done"                //
	Skipped            Status = "skipped"             // a step that had nothing to do
	Failed             Status = "failed"              // halted, can be resumed or rolled back
	Waiting            Status = "waiting"             // at a gate, nothing lost
	Interrupted        Status = "interrupted"         // by a signal, can be resumed
	Open               Status = "open"                // a run whose asked-for phases are done, with more to come
	RollingBack        Status = "rolling_back"        // a run whose rollback has begun and not ended
	RolledBack         Status = "rolled_back"         //
	RollbackIncomplete Status = "rollback_incomplete" // a person is needed
)

// Kind says in which list of its phase a step stands.
type Kind string

// The lists of a phase.
const (
	KindGate     Kind = "gate"
	KindStep     Kind = "step"
	KindRollback Kind = "rollback"
)

// An Event is one fact. Which fields are set is said beside them.
type Event struct {
	Seq  int64     `json:"seq"`            // 1, 2, 3, ...
	Time time.Time `json:"time"`           // UTC
	Type Type      `json:"type"`           // what the event tells
	Run  string    `json:"run"`            // the run's name
	Prev string    `json:"prev,omitempty"` // SHA-256 of the event before as it was written, in hex

	// Opened.

	Contract  string   `json:"contract,omitempty"`  // version of the events' form
	Command   string   `json:"command,omitempty"`   // run or rollback
	Version   string   `json:"version,omitempty"`   // of phasegate
	Plan      string   `json:"plan,omitempty"`      // its name
	File      string   `json:"file,omitempty"`      // the plan's file, as it was named to phasegate
	Digest    string   `json:"digest,omitempty"`    // SHA-256 of the plan and its files, in hex
	Phases    []string `json:"phases,omitempty"`    // all of the plan's
	Rehearsal bool     `json:"rehearsal,omitempty"` // the run works on a sandbox
	// Files of the run's first session has the SHA-256, in hex, of the plan's own
	// file, as ".", and of each that it names, by its name in the digest.
	Files map[string]string `json:"files,omitempty"`
	// Variables has a short fingerprint of each variable that says what the run
	// works on, by name. It tells that a value changed, not what it is.
	Variables map[string]string `json:"variables,omitempty"`

	Found Status `json:"found,omitempty"` // how an earlier session left the run; running if its process died
	PID   int    `json:"pid,omitempty"`   // of the process
	Host  string `json:"host,omitempty"`  // its machine
	By    string `json:"by,omitempty"`    // the account that the process worked for
	// Driver is what drives the run where a person does not, such as a job of
	// GitHub Actions, as it says of itself.
	Driver json.RawMessage `json:"driver,omitempty"`

	// Stated, beside Phase and Step.

	Statement string `json:"statement,omitempty"` // the bytes that were signed
	Signature string `json:"signature,omitempty"` // of them, in OpenSSH's armored form

	// Phase and step events.

	Phase   string          `json:"phase,omitempty"`   // its name
	Step    string          `json:"step,omitempty"`    // its id
	Task    string          `json:"task,omitempty"`    // what the step carries out
	Kind    Kind            `json:"kind,omitempty"`    // in which list of its phase the step stands
	Changes bool            `json:"changes,omitempty"` // the task may change something
	Attempt int             `json:"attempt,omitempty"` // 1, 2, ... over all sessions
	Status  Status          `json:"status,omitempty"`  // of finished and closed events
	Receipt json.RawMessage `json:"receipt,omitempty"` // of saved and finished steps

	// Failures, skipped steps, closed gates.

	Reason string `json:"reason,omitempty"` // why it is so
	Hint   string `json:"hint,omitempty"`   // what can be done about it
	Stack  string `json:"stack,omitempty"`  // of a task that panicked

	// What the probes saw: Outage has one probe's outage, PhaseFinished the
	// sum of the probe that was away the longest.

	Probe      string    `json:"probe,omitempty"`       // its name
	From       time.Time `json:"from,omitzero"`         // first request of the outage that failed
	To         time.Time `json:"to,omitzero"`           // first request after it that did not
	DowntimeMS int64     `json:"downtime_ms,omitempty"` // as the probes saw it, in milliseconds
	BudgetMS   int64     `json:"budget_ms,omitempty"`   // the phase's, in milliseconds
	DurationMS int64     `json:"duration_ms,omitempty"` // of a finished step or phase, in milliseconds
}
