package runner

import (
	"context"
	"fmt"

	"github.com/medlogistics/phasegate/runner/journal"
)

// Status says where a run stands.
func Status(ctx context.Context, store journal.Store, run string) (*journal.State, error) {
	before, err := store.Held(ctx, run)
	if err != nil {
		return nil, err
	}
	state, err := store.State(ctx, run)
	if err != nil {
		return nil, err
	}
	if state == nil {
		return nil, fmt.Errorf("run %s: %w", run, journal.ErrNotFound)
	}
	after, err := store.Held(ctx, run)
	if err != nil {
		return nil, err
	}
	state.Held = before || after // it may have been taken up, or let go of, in between
	if state.Status == journal.Running && !state.Held {
		// Nobody said goodbye: the process died.
		state.Status, state.Reason = journal.Interrupted, "the process that had it ended without a word"
	}
	return state, nil
}
