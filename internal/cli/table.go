package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/medlogistics/phasegate/runner/journal"
)

// printPasses prints what a rehearsal showed.
func (a *app) printPasses(passes []*pass) {
	for _, pass := range passes {
		if pass.state == nil {
			continue // it was not come to
		}
		fmt.Fprintf(a.Out, "\n%s\n", pass.title)
		table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "  PHASE\tRESULT\tDURATION\tDOWNTIME SEEN\tUSERS CREATED\tTAKEN BACK")
		for _, phase := range pass.state.Phases {
			printPhase(table, phase, pass.accounts[phase.Name])
		}
		_ = table.Flush()
		if pass.restored != nil {
			fmt.Fprintf(a.Out, "  What the plan noticed: %s.\n", pass.noticed)
			printRestored(a.Out, pass)
		}
	}
}

func printPhase(w io.Writer, phase *journal.Phase, created int) {
	result, back := string(phase.Status), string(phase.Rollback)
	if result == "" {
		result = "not started"
	}
	switch phase.Rollback {
	case "":
		back = "-"
	case journal.Skipped:
		back = "stays"
	}
	users := "-"
	if created > 0 {
		users = fmt.Sprint(created)
	}
	fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", phase.Name, result,
		milliseconds(phase.DurationMS), milliseconds(phase.DowntimeMS), users, back)
}

// printRestored says what the rollback put back, and how that is known.
func printRestored(w io.Writer, pass *pass) {
	var rows int64
	for _, t := range pass.restored {
		rows += t.Rows
	}
	fmt.Fprintf(w, "  The rollback restored %d tables with %d rows; each equals the one before, by a hash of every row.\n",
		len(pass.restored), rows)
}
