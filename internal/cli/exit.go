package cli

import (
	"github.com/medlogistics/phasegate/runner/journal"
)

// The exit codes. They are a contract with every script that calls phasegate.
const (
	ExitDone               = 0   // all that was asked for is done
	ExitFailed             = 1   // a step failed; the run halted and can be resumed
	ExitUsage              = 2   // wrong call, missing variable, or a run in the way; nothing was done
	ExitInvalid            = 3   // the plan has errors; nothing was done
	ExitWaiting            = 4   // waiting at a gate; nothing is lost
	ExitRolledBack         = 5   // it failed, and everything was put back
	ExitRollbackIncomplete = 6   // a person is needed
	ExitInterrupted        = 130 // stopped by a signal; can be resumed
)

const exitHelp = `Exit codes:
  0    done
  1    failed and halted; can be resumed or rolled back
  2    wrong call, missing variable, or a run in the way; nothing was done
  3    the plan has errors; nothing was done
  4    waiting at a gate; nothing is lost
  5    rolled back
  6    rollback incomplete: a person is needed
  130  interrupted; can be resumed
`

// An exitError ends the command with a code. A nil err has been told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func fail(code int, err error) error { return &exitError{code, err} }

// exitCode is how a run's end is told to the caller.
func exitCode(state *journal.State) int {
	switch state.Status {
	case journal.Done, journal.Open:
		return ExitDone
	case journal.Waiting:
		return ExitWaiting
	case journal.RolledBack:
		return ExitRolledBack
	case journal.RollbackIncomplete:
		return ExitRollbackIncomplete
	case journal.Interrupted, journal.RollingBack:
		return ExitInterrupted
	}
	return ExitFailed
}
