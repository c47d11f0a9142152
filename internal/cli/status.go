package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

func (a *app) status() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "status [RUN]",
		Short: "List the runs and where each stands, or show one",
		Long: `Status lists the runs in the journal, newest first, where each stands, who has
it, and the next command to type. With a run it shows every phase and step, and
each of the commands that there are to go on.

Exit codes: 0 done; 1 a journal cannot be read, the others are shown; 2 there is no such run.`,
		Example: `  phasegate status
  phasegate status 20261122-215118-3f9a01 --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			states, unread := a.states(cmd.Context(), args)
			switch {
			case states == nil:
				return unread
			case len(states) == 0 && unread != nil && !asJSON:
				return unread
			case asJSON:
				return cmp.Or(a.printJSON(states, len(args) == 1), unread)
			case len(args) == 1:
				return a.show(states[0])
			}
			return cmp.Or(a.listRuns(states), unread)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write the states as JSON to standard output")
	return command
}

// states returns where the named run stands, or all of them, newest first. A run
// that cannot be read hides none of the others: the error, of the newest such
// run, comes beside them. Without states it is about the call as a whole.
func (a *app) states(ctx context.Context, args []string) ([]*journal.State, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	runs := args
	if len(runs) == 0 {
		all, err := store.Runs(ctx)
		if err != nil {
			return nil, fail(ExitFailed, err)
		}
		slices.Reverse(all)
		runs = all
	}
	states := []*journal.State{}
	var unread error
	for _, run := range runs {
		state, err := runner.Status(ctx, store, run)
		switch {
		case errors.Is(err, journal.ErrNotFound) && len(args) == 0:
			continue // its first event was never written
		case errors.Is(err, journal.ErrNotFound):
			return nil, fail(ExitUsage, task.Hint(err, "phasegate status lists the runs"))
		case err != nil && len(args) == 0:
			unread = cmp.Or(unread, fail(ExitFailed, unreadable(err)))
			continue
		case err != nil:
			return nil, fail(ExitFailed, unreadable(err))
		}
		states = append(states, state)
	}
	return states, unread
}

// unreadable says how to see what is left of a damaged journal.
func unreadable(err error) error {
	if damage, ok := errors.AsType[*journal.DamagedError](err); ok {
		return task.Hint(err, "phasegate audit "+damage.Run+" says what of it is proven")
	}
	return err
}

func (a *app) printJSON(states []*journal.State, one bool) error {
	encoder := json.NewEncoder(a.Out)
	var err error
	if one {
		err = encoder.Encode(states[0])
	} else {
		err = encoder.Encode(states)
	}
	if err != nil {
		return fail(ExitFailed, fmt.Errorf("print the status: %w", err))
	}
	return nil
}

// written gives a failure to write its exit code.
func written(err error) error {
	if err == nil {
		return nil
	}
	return fail(ExitFailed, fmt.Errorf("print the status: %w", err))
}
