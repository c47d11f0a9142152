package journal

import (
	"context"
	"errors"
)

// A Store keeps the journals of many runs.
type Store interface {
	// Create begins the journal of a new run and holds it.
	Create(ctx context.Context, run string) (Writer, error)

	// Open takes a run up again: it holds the journal and returns its events.
	// The error wraps ErrHeld if another process has it, ErrNotFound if there
	// is no such run.
	Open(ctx context.Context, run string) (Writer, []Event, error)

	// Read returns the events of a run, whoever holds it. Beside a
	// *DamagedError are the events before the one that does not fit. The error of
	// a journal whose contract is unknown here is a *ContractError, of Open too.
	Read(ctx context.Context, run string) ([]Event, error)

	// State returns what [Fold] makes of what Read returns, beside the same error,
	// in less memory.
	State(ctx context.Context, run string) (*State, error)

	// Lines returns what [Verify] reads: the bytes of the run's whole events as
	// they were written, fitting or not.
	Lines(ctx context.Context, run string) ([][]byte, error)

	// Runs returns the names of all runs, oldest first.
	Runs(ctx context.Context) ([]string, error)

	// Held tells whether a living process has the run.
	Held(ctx context.Context, run string) (bool, error)

	// Lock keeps other runs off a target until unlock is called or the process
	// ends. The error wraps ErrHeld if another process has it.
	Lock(ctx context.Context, target string) (unlock func(), err error)
}

// A Writer appends to one run's journal. Only one process has it at a time.
type Writer interface {
	// Append numbers, chains and writes the events, in order, and returns them
	// when they are on disk. After an error nothing more may be appended.
	Append(ctx context.Context, events ...Event) ([]Event, error)

	// Lost is closed when the run or a target of the store was taken over by
	// another process, which can be after the connection broke that holds the
	// lock, or when it has been broken for so long that one may have: whatever is
	// being done for the run is to stop. It is nil where that cannot be.
	Lost() <-chan struct{}

	// Close lets go of the run.
	Close() error
}

// ErrHeld means that another process holds the run or the target.
var ErrHeld = errors.New("held by another process")

// ErrTakenOver means that another process took over what this one held, after
// this one's connection had broken. Nothing more may be done for the run.
var ErrTakenOver = errors.New("taken over by another process")

// ErrLost is why what is being done for a run stops once its [Writer] has lost it.
var ErrLost = errors.New("the run may be another process's by now")

// ErrNotFound means that there is no such run.
var ErrNotFound = errors.New("no such run")
