// Package task is the contract between the runner and one piece of work.
//
// A task is a Go struct. Its exported fields, tagged `with:"key"` or
// `with:"key,required"`, are the configuration that a plan's step may set; its
// methods are the work; what Run returns is the step's receipt. The package
// imports the standard library only, so that a task depends on nothing but this
// contract and the system it works on.
package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Task is one piece of work whose receipt is an R, a struct with json tags.
//
// A task never names itself in an error: the runner puts the phase and the step
// in front, once. It returns soon after ctx ends, at the next point from which
// Run can be called again.
type Task[R any] interface {
	// Check says whether Run could succeed from here. It changes nothing. Run is
	// not called after an error, but for that of a closed gate: its Run only
	// looks too, and returns what it saw beside the error.
	Check(ctx context.Context, env *Env) error

	// Run does the work. It is safe to run again after an interruption at any
	// point, also in another process. A receipt that is returned beside an
	// error tells the part that was done.
	Run(ctx context.Context, env *Env) (R, error)
}

// A Validator is a task that can tell from its configuration alone that it
// cannot work. Validate is pure: it reads no file and asks no server.
type Validator interface{ Validate() error }

// A Filer is a task that reads files. They belong to the plan's digest, so that
// an approval covers them. A directory is named by the files in it.
type Filer interface{ Files() []string }

// A Holder is a task whose work lasts only as long as nobody undoes it, such as
// a service that was stopped. When a run is taken up again behind such a step,
// the runner asks whether it still holds. The key that names what is held is
// tagged `with:"key,held"`, so that a plan is held to declare the downtime, and
// to let go again on every path.
type Holder interface {
	// Hold names what is held, such as a service's address.
	Hold() string

	// Holds returns nil if it does, and otherwise why not. It changes nothing.
	Holds(ctx context.Context, env *Env) error
}

// A Releaser is a task that lets go of what a Holder of the same name holds. Its
// key for that name is tagged like the Holder's.
type Releaser interface{ Releases() string }

// Env is what the runner lends to a task for one call.
type Env struct {
	// Log takes chatter for the operator: no facts, no secrets, no people.
	Log *slog.Logger

	// Dir is the run's directory for artifacts. It exists, with mode 0700.
	Dir string

	// Saved is the receipt that an earlier, unfinished call of this step left,
	// nil on the first call. Read it with [Saved].
	Saved json.RawMessage

	// Save journals the receipt so far and returns when it is on disk. A task
	// saves what a later call needs before it acts on it.
	Save func(receipt any) error

	// Mask takes the plan's secrets out of a text that the task writes to a file.
	// Nil where the plan has none.
	Mask func(text string) string

	// Progress tells how far the work is, done of total units. A total of 0 is
	// an unknown one. It is cheap enough to call for each unit.
	Progress func(done, total int64, unit string)

	// Ask puts a question to the person at the terminal. It is nil where there
	// is no such person.
	Ask func(ctx context.Context, q Question) (Answer, error)

	// Downtime is the outage that the step's phase may cause; 0 if it names none.
	Downtime time.Duration

	// What a gate needs to judge approvals by.
	Basis      Basis       // what an approval given now rests on
	Statements []Statement // what people signed about this gate, oldest first
	Initiator  string      // the account that began the run; "" if the journal does not tell
	Account    string      // the account that this process works for

	// Reviews returns what people decided about the environments that this run
	// was started behind. It is nil where no forge drives the run.
	Reviews func(ctx context.Context) ([]Review, error)

	// What a gate needs to judge rehearsals by.
	Rehearsing bool   // this is a rehearsal
	PlanFile   string // the plan's file, as it was named to phasegate

	// Rehearsals returns what the journals tell of the plan's rehearsals, newest
	// first, whatever their digest. It is nil where there is no journal.
	Rehearsals func(ctx context.Context) ([]Rehearsal, error)
}

// A Question is put to a person by a gate.
type Question struct {
	Text string // what is asked, a sentence or a few
	Want string // the word that means yes; "" where any answer will do
	No   string // the word that means no; any other answer is a slip, and asked again

	Rests []string // steps whose receipts a yes rests on: whoever is asked sees them first
}

// An Answer is what a person said.
type Answer struct {
	Text string // as typed, without the surrounding space
	By   string // the account that answered, not a person's name
}

// Saved returns the receipt that an earlier call of this step saved, and
// whether there is one.
func Saved[R any](env *Env) (receipt R, ok bool, err error) {
	if len(env.Saved) == 0 {
		return receipt, false, nil
	}
	if err := json.Unmarshal(env.Saved, &receipt); err != nil {
		return receipt, false, fmt.Errorf("read the saved receipt: %w", err)
	}
	return receipt, true, nil
}

// ErrClosed is wrapped by the error of a gate that may open later. Any other
// error of a gate is final.
var ErrClosed = errors.New("gate is closed")

// Skip returns an error with which Run says that there was nothing to do. It is
// journalled as a skipped step, not as a failed one.
func Skip(reason string) error { return &SkipError{Reason: reason} }

// A SkipError says why there was nothing to do.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return e.Reason }

// Hint wraps err with what the user can do about it, shown on a line of its own.
// It returns nil if err is nil.
func Hint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &HintError{Err: err, Hint: hint}
}

// A HintError is an error that the user can mend.
type HintError struct {
	Err  error
	Hint string // a sentence in the imperative, without a final period
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Advice returns the hint.
func (e *HintError) Advice() string { return e.Hint }

// HintOf returns the outermost hint in err's chain, or "". A package that does
// not know this one gives hints by errors with a method Advice.
func HintOf(err error) string {
	if h, ok := errors.AsType[adviser](err); ok {
		return h.Advice()
	}
	return ""
}

type adviser interface {
	error
	Advice() string
}
