package command

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A Process is a program that runs while its starter does other things.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // written before done is closed
}

// pipeDelay is how long an ended Process waits for the rest of its standard
// error, which a child of its own may hold open.
const pipeDelay = 200 * time.Millisecond

// Start starts the program in the background. It goes on until it ends by
// itself, is signalled, or this process dies (see Orphan). Grace is not used, and
// it is in no family.
// The error is an *Error.
func (c Command) Start() (*Process, error) {
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go c.hold(p, started)
	if err := <-started; err != nil {
		return nil, &Error{Program: program(c.Argv[0]), ExitCode: -1, Err: err}
	}
	return p, nil
}

// hold starts the program and waits for its end, on one thread: Linux sends the
// death signal when the thread that started the child ends, not the process.
func (c Command) hold(p *Process, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tail := &tail{}
	stderr := redact.NewWriter(tail, c.Mask)
	p.cmd = c.prepare(exec.Command(c.Argv[0], c.Argv[1:]...), "", stderr) //nolint:noctx // it outlives the call
	p.cmd.WaitDelay = pipeDelay
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	err = p.cmd.Wait()
	_ = stderr.Close()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		p.err = &Error{Program: program(c.Argv[0]), ExitCode: exitCode(err), Stderr: tail.String(), Err: err}
	}
	close(p.done)
}

// PID is the number of the process, which is also that of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the program has ended: nil if it did so well, else an *Error
// with its last words.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the program, not to its group. It returns
// os.ErrProcessDone if the program has ended.
func (p *Process) Signal(signal os.Signal) error { return p.cmd.Process.Signal(signal) }
