package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/medlogistics/phasegate/runner/journal"
)

// A death is where a process is killed: with an event of its own and all before
// it on disk, or with only those before it.
type death struct {
	when  string // before or after
	event string // its number among those of the process, or its type and step as in step_finished/stage
}

func (d death) String() string { return d.when + " " + d.event }

func numbered(when string, event int) death { return death{when, strconv.Itoa(event)} }

// deathVariable holds a death of the program that the tests run. No other
// program knows the variable.
const deathVariable = "PHASEGATE_TEST_DEATH"

// mortal makes a program that is killed where deathVariable says.
func mortal(a *app) *app {
	var d death
	if _, err := fmt.Sscan(os.Getenv(deathVariable), &d.when, &d.event); err != nil {
		return a
	}
	open := a.open
	a.open = func(ctx context.Context, place string) (journal.Store, error) {
		store, err := open(ctx, place)
		return &mortalStore{store, d}, err
	}
	return a
}

type mortalStore struct {
	journal.Store
	death death
}

type mortalWriter struct {
	journal.Writer
	death death
	count int // of events that this process wrote
}

func (s *mortalStore) Create(ctx context.Context, run string) (journal.Writer, error) {
	w, err := s.Store.Create(ctx, run)
	return &mortalWriter{Writer: w, death: s.death}, err
}

func (s *mortalStore) Open(ctx context.Context, run string) (journal.Writer, []journal.Event, error) {
	w, events, err := s.Store.Open(ctx, run)
	return &mortalWriter{Writer: w, death: s.death}, events, err
}

// Append tears the write in which death lies: what comes before it is on disk.
func (w *mortalWriter) Append(ctx context.Context, events ...journal.Event) ([]journal.Event, error) {
	for i, e := range events {
		if w.death.event != strconv.Itoa(w.count+i+1) && w.death.event != string(e.Type)+"/"+e.Step {
			continue
		}
		kept := events[:i]
		if w.death.when == "after" {
			kept = events[:i+1]
		}
		if len(kept) > 0 {
			if _, err := w.Writer.Append(ctx, kept...); err != nil {
				return nil, err
			}
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the kernel need not have done it yet
	}
	w.count += len(events)
	return w.Writer.Append(ctx, events...)
}
