package cli

import (
	"context"
	"crypto/sha256"

	"github.com/medlogistics/phasegate/runner/journal"
)

// summary says how the run ended and what to type next.
func (v *view) summary(s *journal.State) {
	taken := span(s.LastSeen.Sub(s.Began))
	switch s.Status {
	case journal.Done:
		v.say("%s  run %s, %s", v.paint(green, "done"), s.Run, taken)
		if s.Changed() {
			v.say("to take it back: phasegate rollback %s", s.File)
		}
		return
	case journal.Open:
		v.say("%s  run %s: the phases that were asked for are done, %s is next", v.paint(green, "done"), s.Run, current(s))
	case journal.Failed:
		v.say("%s  run %s halted, nothing was taken back", v.paint(red, "failed"), s.Run)
		v.because(s)
		v.say("to go on:        phasegate run %s", s.File)
		if s.Changed() {
			v.say("to take it back: phasegate rollback %s", s.File)
		}
		return
	case journal.Waiting:
		v.say("%s  run %s, nothing is lost", v.paint(yellow, "waiting"), s.Run)
		v.because(s)
	case journal.RolledBack:
		v.say("%s  run %s: everything that the plan takes back was taken back", v.paint(green, "rolled back"), s.Run)
		return
	case journal.RollbackIncomplete:
		v.say("%s  run %s: a person is needed", v.paint(red, "rollback incomplete"), s.Run)
		v.because(s)
	default:
		v.say("%s  run %s, at a safe point", v.paint(yellow, "interrupted"), s.Run)
		v.because(s)
	}
	if command := next(s); command != "" {
		v.say("next: %s", command)
	}
	if s.Status == journal.Interrupted && takesBack(s) {
		v.say("to take it back: phasegate rollback %s", s.File)
	}
}

// proof says how to show later that nothing was taken out of the journal, with
// the event that it ends with now.
func (v *view) proof(ctx context.Context, store journal.Store, run string) {
	lines, err := store.Lines(context.WithoutCancel(ctx), run)
	if err != nil || len(lines) == 0 {
		return
	}
	v.say("to prove it:     phasegate audit %s --expect %x", run, sha256.Sum256(lines[len(lines)-1]))
}

func (v *view) because(s *journal.State) {
	if s.Reason != "" {
		v.say("  %s", s.Reason)
	}
	if s.Hint != "" {
		v.say("  hint: %s", s.Hint)
	}
}
