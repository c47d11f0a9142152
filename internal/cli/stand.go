package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// listRuns prints a line for each run.
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
		if sign := toSign(s); sign != "" {
			command = sign + ", then " + command
		}
		plan := s.Plan
		if s.Rehearsal {
			plan += " (rehearsal)"
		} else {
			newest[s.Plan] = true
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			s.Run, plan, standing(s), current(s), orNone(holder(s)), orNone(command))
	}
	return written(table.Flush())
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// show prints all that is known of a run.
func (a *app) show(s *journal.State) error {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(a.Out, "%-9s  %s\n", name, strings.ReplaceAll(text, "\n", "\n           "))
		}
	}
	line("run", s.Run+" of plan "+s.Plan)
	line("status", standing(s))
	line("began", s.Began.Format(time.RFC3339))
	line("last seen", s.LastSeen.Format(time.RFC3339))
	line("holder", holder(s))
	if s.Held {
		line("stop it", fmt.Sprintf("kill -INT %d on %s: at its next safe point", s.Holder.PID, s.Holder.Host))
	} else { // what an earlier session said is being mended
		line("reason", s.Reason)
		line("hint", s.Hint)
	}
	line("approve", toSign(s))
	if command := next(s); command != "" {
		line("next", command+" --run "+s.Run)
	}
	if takesBack(s) {
		line("take back", "phasegate rollback "+s.File+" --run "+s.Run)
	}
	fmt.Fprintln(a.Out)
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, phase := range s.Phases {
		showPhase(table, s, phase)
	}
	return written(table.Flush())
}

func showPhase(w io.Writer, s *journal.State, phase *journal.Phase) {
	stands := words(phase.Status, s.Held)
	if phase.Status == "" {
		stands = "not started"
	}
	if phase.Rollback != "" {
		stands += ", taken back: " + words(phase.Rollback, s.Held)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t\n", phase.Name, stands, milliseconds(phase.DurationMS))
	for _, step := range phase.Steps {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n",
			step.ID, words(step.Status, s.Held), milliseconds(step.DurationMS), firstLine(step.Reason))
	}
}

// standing says how a run stands.
func standing(s *journal.State) string {
	if s.Status == journal.RollingBack && !s.Held {
		return "rollback interrupted"
	}
	return words(s.Status, s.Held)
}

// words is a status for people. What nobody is at work on does not run.
func words(status journal.Status, held bool) string {
	if status == journal.Running && !held {
		return "cut short"
	}
	return strings.ReplaceAll(string(status), "_", " ")
}

// current is the phase that a run is in, or stopped in, forwards or backwards.
func current(s *journal.State) string {
	if s.GoingBack() {
		for _, phase := range slices.Backward(s.Phases) {
			if len(phase.Steps) > 0 && phase.Rollback != "" && phase.Rollback != journal.Done && phase.Rollback != journal.Skipped {
				return phase.Name
			}
		}
		return "-"
	}
	for _, phase := range s.Phases {
		if phase.Status != journal.Done && s.Status != journal.RolledBack {
			return phase.Name
		}
	}
	return "-"
}

// holder is the process that has the run, "" if nobody has.
func holder(s *journal.State) string {
	if !s.Held {
		return ""
	}
	return fmt.Sprintf("process %d on %s since %s", s.Holder.PID, s.Holder.Host, s.Holder.Since.Format(time.RFC3339))
}

// next is the command that takes the run on from where it stands, "" if there
// is none, as for a rehearsal, whose sandbox is gone, or somebody is at work on it.
func next(s *journal.State) string {
	if s.Held || s.Rehearsal {
		return ""
	}
	switch s.Status {
	case journal.Failed, journal.Waiting, journal.Interrupted, journal.Open:
		return "phasegate run " + s.File
	case journal.RollingBack, journal.RollbackIncomplete:
		return "phasegate rollback " + s.File
	}
	return ""
}

// toSign is the command by which people approve what the run waits for, "" where
// it waits for no signature.
func toSign(s *journal.State) string {
	if s.Held || s.Rehearsal || s.Status != journal.Waiting {
		return ""
	}
	for _, phase := range s.Phases {
		for _, step := range phase.Steps {
			var receipt struct{ Command string }
			if step.Status == journal.Waiting && json.Unmarshal(step.Receipt, &receipt) == nil && receipt.Command != "" {
				return receipt.Command
			}
		}
	}
	return ""
}

// takesBack tells whether there is something to take back, and that has not begun.
func takesBack(s *journal.State) bool {
	return !s.Held && !s.Rehearsal && s.Changed() && !s.GoingBack() && !s.Ended()
}
