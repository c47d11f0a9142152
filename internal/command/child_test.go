package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startedChild runs a script, and returns it with its outputs.
func startedChild(t *testing.T, blind bool, script string, grace time.Duration) (c *child, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd := sh(script).prepare(exec.Command("/bin/sh", "-c", script), "", stderr)
	cmd.Stdout = stdout
	c = &child{cmd: cmd, grace: grace, blind: blind}
	if err := c.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, stdout, stderr
}

// inBothWays tests what waits for a process by its descriptor, and what does without.
func inBothWays(t *testing.T, test func(t *testing.T, blind bool)) {
	t.Helper()
	t.Parallel()
	for name, blind := range map[string]bool{"descriptor": false, "none": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, blind) })
	}
}

func TestBothOutputsOfAProgramAreReadToTheirEnds(t *testing.T) {
	inBothWays(t, func(t *testing.T, blind bool) {
		// More than a pipe holds, on both, and the last of it just before the end.
		c, stdout, stderr := startedChild(t, blind, `head -c 300000 /dev/zero >&2; head -c 400000 /dev/zero; echo last >&2; exit 3`, time.Second)
		err := c.wait(t.Context())
		if exitCode(err) != 3 {
			t.Errorf("it ended with %v, not with status 3", err)
		}
		if stdout.Len() != 400_000 || stderr.Len() != 300_000+len("last\n") || !strings.HasSuffix(stderr.String(), "last\n") {
			t.Errorf("%d and %d bytes were read", stdout.Len(), stderr.Len())
		}
	})
}

func TestAProgramIsToldToEndBeforeItIsEnded(t *testing.T) {
	inBothWays(t, func(t *testing.T, blind bool) {
		for _, test := range []struct {
			script string
			grace  time.Duration
			signal syscall.Signal // that ended it; 0 is that it ended by itself
		}{
			{`trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done`, time.Minute, 0},
			{`trap 'echo told' TERM; echo ready; while :; do sleep 0.02; done`, 4 * time.Second, syscall.SIGKILL},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			c, stdout, _ := startedChild(t, blind, test.script, test.grace)
			c.pipes[0].to = io.MultiWriter(stdout, writerFunc(func([]byte) { cancel() }))
			err := c.wait(ctx)
			if !strings.Contains(stdout.String(), "told") {
				t.Errorf("it was not told to end, or its answer was not read: %q", stdout)
			}
			exit, killed := errors.AsType[*exec.ExitError](err)
			switch {
			case test.signal == 0 && !errors.Is(err, context.Canceled):
				t.Errorf("it ended well after the context did: %v, not the context's error", err)
			case test.signal != 0 && (!killed || exit.Sys().(syscall.WaitStatus).Signal() != test.signal):
				t.Errorf("it ended with %v, not by %s", err, test.signal)
			}
		}
	})
}

func TestADaemonThatHoldsAnOutputIsNotWaitedForForever(t *testing.T) {
	inBothWays(t, func(t *testing.T, blind bool) {
		for _, daemon := range []string{`sleep 60`, `yes`} {
			c, stdout, _ := startedChild(t, blind, daemon+` & echo started`, 100*time.Millisecond)
			// Slower than the daemon, which always has more.
			c.pipes[0].to = io.MultiWriter(stdout, writerFunc(func([]byte) { time.Sleep(50 * time.Millisecond) }))
			err := c.wait(t.Context())
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
			if !errors.Is(err, exec.ErrWaitDelay) || !strings.Contains(stdout.String(), "started") {
				t.Errorf("%s: the wait ended with %v, %d bytes were read", daemon, err, stdout.Len())
			}
		}
	})
}

func TestAWriterMayTakeLongerThanTheGrace(t *testing.T) {
	inBothWays(t, func(t *testing.T, blind bool) {
		c, stdout, _ := startedChild(t, blind, `head -c 65536 /dev/zero`, time.Millisecond)
		c.pipes[0].to = io.MultiWriter(stdout, writerFunc(func([]byte) { time.Sleep(200 * time.Millisecond) }))
		if err := c.wait(t.Context()); err != nil || stdout.Len() != 65_536 {
			t.Errorf("%d bytes were read, and then: %v", stdout.Len(), err)
		}
	})
}

func TestAnOutputThatCannotBeKeptIsTheError(t *testing.T) {
	inBothWays(t, func(t *testing.T, blind bool) {
		full := errors.New("the disk is full")
		c, _, stderr := startedChild(t, blind, `trap '' PIPE; echo lost; while echo more 2>/dev/null; do :; done; echo closed >&2`, time.Second)
		c.pipes[0].to = failing{full}
		if err := c.wait(t.Context()); !errors.Is(err, full) {
			t.Errorf("the error is %v", err)
		}
		if !strings.Contains(stderr.String(), "closed") {
			t.Error("the program did not find its output closed")
		}
	})
}

func TestAProgramIsNotStartedAfterTheContextsEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, err := sh("echo started").Output(ctx); !errors.Is(err, context.Canceled) || out != "" {
		t.Errorf("%q, %v", out, err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
