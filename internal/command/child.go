package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A child is a program that runs, with its outputs on their way to writers. One
// poll(2) waits for them and for its end, on the goroutine that runs it: os/exec
// has a goroutine for each and wakes one after the other, which costs a run of
// short programs a few hundredths of its time (docs/benchmarks.md).
type child struct {
	cmd   *exec.Cmd
	grace time.Duration // from SIGTERM to SIGKILL, and for outputs that a daemon holds open
	pipes []*pipe
	blind bool // to be waited for as where a process has no descriptor; for tests

	mu    sync.Mutex
	ended bool // and its number may soon be that of another
	told  bool // to end
}

// A pipe carries one output of a child.
type pipe struct {
	to    io.Writer
	read  int      // the descriptor; closed is -1
	write *os.File // the child's end, until it is started
	err   error    // of to
}

const closed = -1

// pipeSize is the most that a pipe holds, in bytes: pipe(7).
const pipeSize = 64 << 10

// start starts the program. Without an error, wait has to be called.
func (c *child) start(ctx context.Context) error {
	// Lets the scheduler see that this goroutine is no long computation, from which it
	// would take the processor away at every wait.
	runtime.Gosched()
	err := ctx.Err()
	if err == nil {
		err = c.openPipes()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	for _, p := range c.pipes {
		_ = p.write.Close() // the child has its own
	}
	if err != nil {
		c.close()
	}
	return err
}

// openPipes gives the program a pipe for each writer that is no file.
func (c *child) openPipes() error {
	c.cmd.WaitDelay = c.grace // of what it reads
	for _, output := range []*io.Writer{&c.cmd.Stdout, &c.cmd.Stderr} {
		if _, direct := (*output).(*os.File); direct || *output == nil {
			continue
		}
		read, write, err := openPipe()
		if err != nil {
			return fmt.Errorf("open a pipe: %w", err)
		}
		c.pipes = append(c.pipes, &pipe{to: *output, read: read, write: write})
		*output = write
	}
	return nil
}

// wait carries the outputs until the program has ended, and returns how it did. When
// the context ends, the program is told to, with all of its group.
func (c *child) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	ended, carried := c.carried()
	c.close()
	switch err := ended(); {
	case carried != nil && !errors.Is(carried, exec.ErrWaitDelay):
		return carried
	case err != nil:
		return err
	case c.hasEnded():
		return ctx.Err()
	}
	for _, p := range c.pipes {
		if p.err != nil {
			return p.err
		}
	}
	return carried
}

// end tells the program to end, and ends it if it does not.
func (c *child) end() {
	c.signal(syscall.SIGTERM)
	time.AfterFunc(c.grace, func() { c.signal(syscall.SIGKILL) })
}

func (c *child) signal(signal syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.told = true
		_ = syscall.Kill(-c.cmd.Process.Pid, signal)
	}
}

// hasEnded has no more signals sent, and tells whether one was.
func (c *child) hasEnded() (told bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.told
}

// carried returns when all is carried, or cannot be, with what waits for how the
// program ended.
func (c *child) carried() (ended func() error, err error) {
	noHandle := os.ErrNoHandle
	if !c.blind {
		noHandle = c.cmd.Process.WithHandle(func(handle uintptr) { err = c.carry(int(handle)) })
	}
	if noHandle == nil {
		return c.cmd.Wait, err
	}
	return c.carriedBlind()
}

// carriedBlind is carried where a process has no descriptor, as on macOS. A pipe that
// is closed at the program's end stands in for it.
func (c *child) carriedBlind() (ended func() error, err error) {
	read, write, err := openPipe()
	if err != nil {
		c.signal(syscall.SIGKILL)
		return c.cmd.Wait, fmt.Errorf("open a pipe: %w", err)
	}
	defer unix.Close(read)
	end := make(chan error, 1)
	go func() {
		end <- c.cmd.Wait()
		_ = write.Close()
	}()
	return func() error { return <-end }, c.carry(read)
}

// carry carries the outputs until the program has ended, which the handle tells, and
// all that it wrote is read, however long the writers take. What a daemon holds open
// after that is left when the grace is over.
func (c *child) carry(handle int) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	ready := make([]unix.PollFd, 0, 3)
	for _, p := range c.pipes {
		ready = append(ready, unix.PollFd{Fd: int32(p.read), Events: unix.POLLIN})
	}
	ready = append(ready, unix.PollFd{Fd: int32(handle), Events: unix.POLLIN})
	var until time.Time             // when an output that is open still is left
	left := len(c.pipes) * pipeSize // the most that the program itself can have left in them
	for open := len(ready); open > 0; {
		n, err := unix.Poll(ready, milliseconds(until))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for the program: %w", err)
		case n == 0 || left < 0 && time.Now().After(until):
			return exec.ErrWaitDelay
		}
		for i := range ready {
			switch {
			case ready[i].Revents == 0:
				continue
			case i == len(c.pipes):
				c.hasEnded()
				until = time.Now().Add(c.grace)
			default:
				read, more := c.pipes[i].relay(buffer[:])
				if !until.IsZero() {
					left -= read
				}
				if more {
					continue
				}
			}
			ready[i].Fd = closed // poll leaves it out
			open--
		}
	}
	return nil
}

// buffers are for what is relayed.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// milliseconds returns the time until then, for poll: -1, without end, for none.
func milliseconds(then time.Time) int {
	if then.IsZero() {
		return -1
	}
	return int(max(0, time.Until(then)+time.Millisecond-1) / time.Millisecond)
}

// relay hands on what is there to read, and tells how much that was and whether there
// may be more. A writer that fails gets no more: then the program finds its output
// closed.
func (p *pipe) relay(buffer []byte) (n int, more bool) {
	n, err := unix.Read(p.read, buffer)
	if errors.Is(err, unix.EINTR) {
		return 0, true
	}
	if n > 0 {
		_, p.err = p.to.Write(buffer[:n])
	}
	if n > 0 && p.err == nil {
		return n, true
	}
	p.close()
	return 0, false
}

func (p *pipe) close() {
	if p.read != closed {
		_ = unix.Close(p.read)
	}
	p.read = closed
}

// close closes our ends of what is open still.
func (c *child) close() {
	for _, p := range c.pipes {
		p.close()
	}
}
