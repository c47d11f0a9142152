package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// goesOn says how the run was found that e takes up, and what that means for
// what comes: who left it, when and where, and what is not done again.
func (v *view) goesOn(e journal.Event) string {
	found, before := strings.ReplaceAll(string(e.Found), "_", " "), (*journal.State)(nil)
	events := v.before(e)
	if e.Found == journal.RollingBack {
		found = string(journal.Interrupted)
	}
	if len(events) > 0 {
		before = journal.Fold(events)
		if !saidGoodbye(events) {
			found = "left by a process that died"
		}
		found += lastSeen(before)
	}
	switch {
	case e.Found == journal.RollingBack || e.Found == journal.RollbackIncomplete:
		return "goes on with its rollback, which was " + found + "; phases that are back stay back"
	case e.Command == "rollback":
		return "was " + found + "; what it changed is taken back"
	}
	return "goes on: it was " + found + "; " + kept(before)
}

// saidGoodbye tells whether the last session was closed. What people signed
// since then about a gate belongs to none.
func saidGoodbye(events []journal.Event) bool {
	for _, e := range slices.Backward(events) {
		if e.Type != journal.Stated {
			return e.Type == journal.Closed
		}
	}
	return false
}

// before is the run as e found it, nothing if it cannot be read: then what comes
// says so.
func (v *view) before(e journal.Event) []journal.Event {
	events, err := v.app.opened.Read(context.Background(), e.Run)
	if err != nil || int64(len(events)) < e.Seq {
		return nil
	}
	return events[:e.Seq-1]
}

// lastSeen is where the run was, when, and in whose hands.
func lastSeen(s *journal.State) string {
	text := ""
	for _, phase := range s.Phases {
		for _, step := range phase.Steps {
			if !step.Finished() {
				text = fmt.Sprintf(" at step %s of phase %s", step.ID, phase.Name)
			}
		}
	}
	return text + fmt.Sprintf(" (last seen %s, process %d on %s)", s.LastSeen.Format(time.RFC3339), s.Holder.PID, s.Holder.Host)
}

func kept(s *journal.State) string {
	done := 0
	if s != nil {
		for _, phase := range s.Phases {
			for _, step := range phase.Steps {
				if step.Finished() && step.Kind == journal.KindStep {
					done++
				}
			}
		}
	}
	switch done {
	case 0:
		return "what is done is not done again"
	case 1:
		return "the step that is done is not done again"
	}
	return fmt.Sprintf("the %d steps that are done are not done again", done)
}
