package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

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
it, and the next command to type. With a run it shows every phase and step.

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
			unread = cmp.Or(unread, fail(ExitFailed, err))
			continue
		case err != nil:
			return nil, fail(ExitFailed, err)
		}
		states = append(states, state)
	}
	return states, unread
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

func (a *app) listRuns(states []*journal.State) error {
	if len(states) == 0 {
		fmt.Fprintln(a.Out, "no runs yet")
		return nil
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tPLAN\tSTATUS\tPHASE\tHOLDER\tNEXT")
	newest := map[string]bool{} // plans whose newest run was listed
	for _, s := range states {
		command := next(s)
		if command != "" && newest[s.Plan] {
			command += " --run " + s.Run
		}
		plan := s.Plan
		if s.Rehearsal {
			plan += " (rehearsal)"
		} else {
			newest[s.Plan] = true
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Run, plan, s.Status, current(s), holder(s), command)
	}
	return table.Flush()
}

func (a *app) show(s *journal.State) error {
	fmt.Fprintf(a.Out, "run      %s of plan %s\nstatus   %s\nbegan    %s\n", s.Run, s.Plan, s.Status, s.Began.Format(time.RFC3339))
	if s.Reason != "" {
		fmt.Fprintf(a.Out, "reason   %s\n", s.Reason)
	}
	if command := next(s); command != "" {
		fmt.Fprintf(a.Out, "next     %s --run %s\n", command, s.Run)
	}
	fmt.Fprintln(a.Out)
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, phase := range s.Phases {
		showPhase(table, phase)
	}
	return table.Flush()
}

func showPhase(w io.Writer, phase *journal.Phase) {
	status := phase.Status
	if status == "" {
		status = "not started"
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t\n", phase.Name, status, milliseconds(phase.DurationMS))
	for _, step := range phase.Steps {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", step.ID, step.Status, milliseconds(step.DurationMS), firstLine(step.Reason))
	}
}

// current is the phase that a run is in, or stopped in.
func current(s *journal.State) string {
	for _, phase := range s.Phases {
		if phase.Status != journal.Done {
			return phase.Name
		}
	}
	return "-"
}

func holder(s *journal.State) string {
	if s.Status != journal.Running && s.Status != journal.RollingBack {
		return "-"
	}
	return fmt.Sprintf("%s, process %d", s.Holder.Host, s.Holder.PID)
}

// next is the command that takes the run on from where it stands.
func next(s *journal.State) string {
	switch s.Status {
	case journal.Failed, journal.Waiting, journal.Interrupted, journal.Open:
		return "phasegate run " + s.File
	case journal.RollingBack, journal.RollbackIncomplete:
		return "phasegate rollback " + s.File
	}
	return ""
}
