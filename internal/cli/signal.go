package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner/task"
)

// errInterrupted is why a run stops at a safe point.
var errInterrupted = errors.New("interrupted by a signal")

// lastWords is how long a call may go on after its programs were ended at once,
// so that what is at work can still say in the journal how far it came.
const lastWords = 2 * time.Second

// untilSignal returns a context that the first signal ends: what is at work
// stops at its next safe point. A second one ends the programs that it waits
// for and, where that does not do it, the call.
func (a *app) untilSignal(ctx context.Context) (context.Context, func()) {
	return a.headOf(ctx, command.NewFamily())
}

// headOf is untilSignal with the family to which the programs belong.
func (a *app) headOf(ctx context.Context, family *command.Family) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(family.Context(ctx))
	received, stopped := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup has it ignored, so that the run outlives the terminal
		signal.Notify(received, syscall.SIGHUP)
	}
	next := func() os.Signal {
		select {
		case s := <-received:
			return s
		case <-stopped:
			return nil
		}
	}
	go func() {
		s := next()
		if s == nil {
			return
		}
		fmt.Fprintf(a.Err, "\nphasegate: %v: stopping at the next safe point%s; a second signal stops it at once\n", s, a.waitsFor())
		cancel(errInterrupted)
		if s = next(); s == nil {
			return
		}
		fmt.Fprintf(a.Err, "phasegate: %v: stopping at once\n", s)
		if err := family.Kill(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintf(a.Err, "phasegate: %v: end it by hand before you go on\n", err)
		}
		select {
		case <-stopped:
		case <-time.After(lastWords):
			close(a.atOnce)
		}
	}()
	return ctx, func() { signal.Stop(received); close(stopped); cancel(nil) }
}

// waitsFor says what a first signal waits for.
func (a *app) waitsFor() string {
	if v := a.shown.Load(); v != nil {
		if at := v.atWork(); at != nil {
			return fmt.Sprintf(", which step %s of phase %s has to come to", at.Step, at.Phase)
		}
	}
	return ""
}

// cutShort says that the call ended in the middle of its work.
func (a *app) cutShort() error {
	err, hint := errors.New("stopped at once"), "call it again: what was under way is taken up again"
	if v := a.shown.Load(); v != nil {
		if at := v.atWork(); at != nil {
			err = fmt.Errorf("stopped at once, in the middle of step %s of phase %s: how far it came is not in the journal",
				at.Step, at.Phase)
		}
		hint = v.again() + " goes on with the run"
	}
	return fail(ExitInterrupted, task.Hint(err, hint))
}
