package cli

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/medlogistics/phasegate/runner/task"
)

// An output is the standard output. Whoever reads it takes its end for the end of
// what there was to say, so nothing follows what could not be written.
type output struct {
	to io.Writer

	mu     sync.Mutex
	failed error
	whole  string // where all of it can be read, "" if nowhere
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return 0, o.failed
	}
	n, err := o.to.Write(p)
	o.failed = err
	return n, err
}

// missing says what was not written, nil if all was.
func (o *output) missing() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		return nil
	}
	hint := "make room where the standard output goes, or have it read to its end, then call again"
	if o.whole != "" {
		hint = o.whole
	}
	return task.Hint(fmt.Errorf("the standard output is not whole: %w", o.failed), hint)
}

// isWhole tells what is missing of the standard output, unless the call's end has
// told it, and returns the exit code with it: the call's own, unless that says
// that all is well.
func (a *app) isWhole(code int, end error) int {
	missing := a.stdout.missing()
	if missing == nil || errors.Is(end, a.stdout.failed) {
		return code
	}
	failed := a.report(fail(ExitFailed, missing))
	if code != ExitDone {
		return code
	}
	return failed
}
