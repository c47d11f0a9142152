// Package command runs other programs: the only importer of os/exec. A child is
// in a process group of its own, gets no secret in its arguments, is ended with
// its whole group when the context ends, and its last words are in the error.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A Command is a program to run.
type Command struct {
	Argv   []string       // program and arguments, no secrets
	Env    []string       // added to the parent's environment, secrets allowed
	Dir    string         // "" is the current directory
	Stdin  io.Reader      // nil is empty
	Stdout io.Writer      // nil is discarded
	Mask   *redact.Masker // applied to the standard error before it is kept
	Grace  time.Duration  // from SIGTERM to SIGKILL when the context ends; 0 is five seconds
}

// tailSize is how much of a child's standard error an Error keeps, in bytes.
const tailSize = 2 << 10

// An Error is a program that could not be started or that ended badly.
type Error struct {
	Program  string // without its directory
	ExitCode int    // -1 if it was not started or was ended by a signal
	Stderr   string // the last lines, masked
	Err      error
}

func (e *Error) Error() string {
	message := fmt.Sprintf("%s: %v", e.Program, e.Err)
	if e.Stderr != "" {
		message += ": " + strings.ReplaceAll(e.Stderr, "\n", "; ")
	}
	return message
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs the program to its end. Its error is an *Error, which wraps the
// context's cause if the context ended first.
func (c Command) Run(ctx context.Context) error {
	tail := &tail{}
	stderr := redact.NewWriter(tail, c.Mask)
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, c.Stdout, stderr
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = c.Grace
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = 5 * time.Second
	}
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		// A program that left a daemon behind has done its work all the same.
		return nil
	}
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	_ = stderr.Close()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{Program: program(c.Argv[0]), ExitCode: exitCode(err), Stderr: tail.String(), Err: err}
}

// Output runs the program and returns what it wrote to its standard output.
func (c Command) Output(ctx context.Context) (string, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run(ctx)
	return out.String(), err
}

// LookPath finds a program as the shell would.
func LookPath(name string) (string, error) { return exec.LookPath(name) }

func program(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// tail keeps the last tailSize bytes that are written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
