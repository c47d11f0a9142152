package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Store keeps the journals of many runs.
type Store interface {
	// Create begins the journal of a new run and holds it.
	Create(ctx context.Context, run string) (Writer, error)

	// Open takes a run up again: it holds the journal and returns its events.
	// The error wraps ErrHeld if another process has it, ErrNotFound if there
	// is no such run.
	Open(ctx context.Context, run string) (Writer, []Event, error)

	// Read returns the events of a run, whoever holds it.
	Read(ctx context.Context, run string) ([]Event, error)

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

	// Close lets go of the run.
	Close() error
}

// ErrHeld means that another process holds the run or the target.
var ErrHeld = errors.New("held by another process")

// ErrNotFound means that there is no such run.
var ErrNotFound = errors.New("no such run")

// A DamagedError says where a journal stopped making sense.
type DamagedError struct {
	Run  string
	Line int // 1, 2, ...
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("journal of run %s is damaged at event %d: %v", e.Run, e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// chain numbers events and ties each to the bytes of the one before.
type chain struct {
	seq  int64
	prev string
}

// seal completes an event and returns the line that stands for it.
func (c *chain) seal(e *Event) ([]byte, error) {
	e.Seq, e.Prev = c.seq+1, c.prev
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	c.advance(line)
	return line, nil
}

// verify reads a line that must be the next one of the chain.
func (c *chain) verify(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	if e.Seq != c.seq+1 {
		return e, fmt.Errorf("it is numbered %d, not %d", e.Seq, c.seq+1)
	}
	if e.Prev != c.prev {
		return e, errors.New("it does not follow the event before: one of the two was altered")
	}
	c.advance(line)
	return e, nil
}

func (c *chain) advance(line []byte) {
	sum := sha256.Sum256(line)
	c.seq, c.prev = c.seq+1, hex.EncodeToString(sum[:])
}
