package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Family is the programs that a process runs, with all that these start in
// turn, whichever group or session they go to: each has a mark in its
// environment that begins with the family's token, which nobody can guess. So a
// family can be found and ended also when the process that started it was killed.
//
// A program that clears its environment leaves its family. On Linux the
// environments are read from /proc; elsewhere from what ps shows of them.
type Family struct {
	token string

	mu     sync.Mutex
	groups map[int]bool // that run now, by the process that leads each
	count  int          // programs that were started
	over   bool         // Kill was called
}

// familyVariable holds the mark in the environment of a member.
const familyVariable = "PHASEGATE_FAMILY"

// ErrKilled is the cause of a program's end, or of its not being started, after
// [Family.Kill].
var ErrKilled = errors.New("all programs were ended at once")

// NewFamily returns a family without members.
func NewFamily() *Family { return &Family{token: rand.Text(), groups: map[int]bool{}} }

// Token tells the family's members from all other processes. It is written down
// before there are any, for whoever comes after a crash.
func (f *Family) Token() string { return f.token }

type familyKey struct{}

// Context returns a context with which [Command.Run] adds to the family.
func (f *Family) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, familyKey{}, f)
}

func familyOf(ctx context.Context) *Family {
	f, _ := ctx.Value(familyKey{}).(*Family)
	return f
}

// mark is that of one program, and of what it starts.
func (f *Family) mark() string {
	if f == nil {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	return fmt.Sprintf("%s.%d.", f.token, f.count)
}

// trackingVariable is by which GitHub's runner finds, and kills, what a job left
// behind: actions/runner, JobExtension.cs.
const trackingVariable = "RUNNER_TRACKING_ID"

// environ is the environment of a program with a mark, or with none: inherited,
// less what own only names, then the program's own. What has no mark, such as a
// service that was started, is to outlive the call, and the job of GitHub Actions too.
func environ(mark string, own []string) []string {
	inherited := os.Environ()
	variables := make([]string, 0, len(inherited)+1+len(own))
	for _, variable := range inherited {
		name, _, _ := strings.Cut(variable, "=")
		if name == familyVariable || mark == "" && name == trackingVariable || slices.Contains(own, name) {
			continue
		}
		variables = append(variables, variable)
	}
	if mark != "" {
		variables = append(variables, familyVariable+"="+mark)
	}
	for _, variable := range own {
		if strings.Contains(variable, "=") {
			variables = append(variables, variable)
		}
	}
	return variables
}

// run runs a program to its end. A nil family only does that.
func (f *Family) run(ctx context.Context, child *child) error {
	if f == nil {
		if err := child.start(ctx); err != nil {
			return err
		}
		return child.wait(ctx)
	}
	if err := f.start(ctx, child); err != nil {
		return err
	}
	err := child.wait(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, child.cmd.Process.Pid)
	if f.over && err != nil {
		return ErrKilled
	}
	return err
}

func (f *Family) start(ctx context.Context, child *child) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return ErrKilled
	}
	if err := child.start(ctx); err != nil {
		return err
	}
	f.groups[child.cmd.Process.Pid] = true
	return nil
}

// Kill ends all members at once, and has no more of them start. Its error names
// those that could not be ended.
func (f *Family) Kill(ctx context.Context) error {
	f.mu.Lock()
	f.over = true
	for group := range f.groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	f.mu.Unlock()
	_, err := end(ctx, f.token+".", syscall.SIGKILL)
	return err
}

// A Member is a process of a family.
type Member struct {
	PID     int
	Program string // its name, as the system has it
}

func (m Member) String() string { return fmt.Sprintf("%s (process %d)", m.Program, m.PID) }

// Bereave ends the members of a family whose starter is dead: with SIGTERM, and
// after five seconds with SIGKILL. It returns those that it found; what they
// started meanwhile is ended too. Its error names those that it could not end.
//
// This process and those that it descends from are left alone.
func Bereave(ctx context.Context, token string) ([]Member, error) {
	if token == "" {
		return nil, nil
	}
	return end(ctx, token+".", syscall.SIGTERM)
}

// How long a signal has to end what it is sent to, and how often that is looked at.
const (
	endTime = 5 * time.Second
	endLook = 20 * time.Millisecond
)

// end signals those whose mark begins so until there are none: one may start
// another while it is looked for.
func end(ctx context.Context, mark string, signal syscall.Signal) (first []Member, err error) {
	told := map[int]bool{}
	until := time.Now().Add(endTime)
	for {
		found, err := members(ctx, mark)
		if err != nil || len(found) == 0 {
			return first, err
		}
		if first == nil {
			first = found
		}
		if time.Now().After(until) {
			if signal == syscall.SIGKILL {
				return first, fmt.Errorf("%v cannot be ended", found)
			}
			signal, until = syscall.SIGKILL, time.Now().Add(endTime)
			clear(told)
		}
		for _, m := range found {
			if told[m.PID] {
				continue
			}
			told[m.PID] = true
			_ = m.signal(mark, signal) // whether it ended is looked at
		}
		select {
		case <-time.After(endLook):
		case <-ctx.Done():
			return first, context.Cause(ctx)
		}
	}
}
