// Package command runs other programs: the only importer of os/exec. A child is
// in a process group of its own, gets no secret in its arguments, is ended with
// all that it started when the context ends, and its last words are in the error.
// What outlives a crash of this process is found again by its [Family].
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
	"sync"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A Command is a program to run.
type Command struct {
	Argv   []string       // program and arguments, no secrets
	Env    []string       // added to the parent's environment, secrets allowed; a name alone is taken out of it
	Dir    string         // "" is the current directory
	Stdin  io.Reader      // nil is empty
	Stdout io.Writer      // nil is discarded; one that blocks keeps the program waiting, and Run
	Stderr io.Writer      // gets the standard error too, masked; nil is nobody
	Log    *os.File       // takes both outputs instead; for a program that leaves a daemon behind
	Mask   *redact.Masker // applied to the standard error before it is kept
	Grace  time.Duration  // from SIGTERM to SIGKILL when the context ends; 0 is five seconds
	As     *Account       // nil is the account of this process; another needs root
	Orphan Orphan         // what becomes of the child when this process is killed

	// Lasting is for a program that starts what is meant to go on, such as a
	// service: what it leaves behind is no member of the context's Family.
	Lasting bool
}

// An Account is a user and a group of the system, by number. A child that runs
// as one has none of this process's other groups.
type Account struct{ UID, GID uint32 }

// Orphan is what becomes of a child whose starter is killed. Only Linux ends
// it; elsewhere it goes on.
type Orphan int

const (
	Terminated Orphan = iota // gets SIGTERM
	Quit                     // gets SIGQUIT, with which PostgreSQL stops at once
	LeftAlone                // goes on
)

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
	stderr := redact.NewWriter(c.words(tail), c.Mask)
	family, mark := familyOf(ctx), ""
	if !c.Lasting {
		mark = family.mark()
	}
	cmd := c.prepare(exec.Command(c.Argv[0], c.Argv[1:]...), mark, stderr) //nolint:noctx // the context's end is for the whole group
	err := family.run(ctx, &child{cmd: cmd, grace: c.grace()})
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		// A program that left a daemon behind has done its work all the same.
		_ = stderr.Close()
		return nil
	}
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if mark != "" {
			_, _ = end(context.WithoutCancel(ctx), mark, syscall.SIGKILL)
		}
	}
	if c.Log != nil {
		_, _ = stderr.Write(lastOf(c.Log))
	}
	_ = stderr.Close()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{Program: program(c.Argv[0]), ExitCode: exitCode(err), Stderr: tail.String(), Err: err}
}

func (c Command) grace() time.Duration {
	if c.Grace == 0 {
		return 5 * time.Second
	}
	return c.Grace
}

// words is where the standard error goes.
func (c Command) words(tail *tail) io.Writer {
	if c.Stderr == nil {
		return tail
	}
	return io.MultiWriter(tail, c.Stderr)
}

// nothing is what a program reads that is given nothing. Os/exec would open it
// anew for each.
var nothing = sync.OnceValues(func() (*os.File, error) { return os.Open(os.DevNull) })

func (c Command) prepare(cmd *exec.Cmd, mark string, stderr io.Writer) *exec.Cmd {
	cmd.Env = environ(mark, c.Env)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, c.Stdout, stderr
	if empty, err := nothing(); c.Stdin == nil && err == nil {
		cmd.Stdin = empty
	}
	if c.Log != nil {
		// A pipe of ours would break under the daemon when we end, and keep us waiting until it does.
		cmd.Stdout, cmd.Stderr = c.Log, c.Log
	}
	cmd.SysProcAttr = ownGroup(c.Orphan)
	if c.As != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.As.UID, Gid: c.As.GID}
	}
	return cmd
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
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// lastOf returns the last tailSize bytes of a file that is open for reading.
func lastOf(f *os.File) []byte {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	last := make([]byte, min(info.Size(), tailSize))
	n, _ := f.ReadAt(last, info.Size()-int64(len(last)))
	return last[:n]
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
