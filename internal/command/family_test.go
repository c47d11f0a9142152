package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stubborn starts a child that leaves the group and the session, heeds no
// signal that can be heeded, and writes its number to a file when it is so far.
// It ends with the directory.
const stubborn = `
	cd %[1]q
	setsid sh -c 'trap "" INT TERM HUP QUIT; echo $$ >new; mv new %[2]s; while test -d %[1]q; do sleep 0.05; done' >/dev/null 2>&1 &
	until test -e %[2]s; do sleep 0.01; done
	%[3]s`

// leaver is a program that starts a stubborn child and then does what then says.
func leaver(t *testing.T, then string) (c Command, child func() int) {
	t.Helper()
	dir := t.TempDir()
	child = func() int {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			text, err := os.ReadFile(filepath.Join(dir, "child"))
			if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
				return pid
			}
			if time.Now().After(deadline) {
				t.Fatal("the child was not started")
			}
		}
	}
	t.Cleanup(func() { _ = syscall.Kill(child(), syscall.SIGKILL) })
	return sh(fmt.Sprintf(stubborn, dir, "child", then)), child
}

// lives tells whether a process is there that is no zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func needProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("there is no /proc here")
	}
}

func TestWhatLeftItsGroupEndsWithTheContext(t *testing.T) {
	t.Parallel()
	needProc(t)
	ctx, cancel := context.WithCancel(NewFamily().Context(t.Context()))
	c, child := leaver(t, "exec sleep 600")
	c.Grace = 50 * time.Millisecond
	go func() { child(); cancel() }()
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if lives(child()) {
		t.Error("its child in another session goes on")
	}
}

func TestKillEndsAFamilyAtOnceAndNoOther(t *testing.T) {
	t.Parallel()
	needProc(t)
	family, other := NewFamily(), NewFamily()
	c, child := leaver(t, `trap "" TERM; while :; do sleep 600; done`)
	stranger, strangers := leaver(t, "true")
	if err := stranger.Run(other.Context(t.Context())); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- c.Run(family.Context(t.Context())) }()
	child()
	if err := family.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrKilled) {
		t.Errorf("it ended with %v", err)
	}
	if lives(child()) {
		t.Error("its child in another session goes on")
	}
	if !lives(strangers()) {
		t.Error("another family's child was ended")
	}
	if err := sh("exit 0").Run(family.Context(t.Context())); !errors.Is(err, ErrKilled) {
		t.Errorf("a program that is started afterwards: %v", err)
	}
}

func TestBereavedMembersAreFoundByTheTokenAlone(t *testing.T) {
	t.Parallel()
	needProc(t)
	family := NewFamily()
	c, child := leaver(t, "exit 0")
	lasting, service := leaver(t, "exit 0")
	lasting.Lasting = true
	for _, c := range []Command{c, lasting} {
		if err := c.Run(family.Context(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range []string{"", family.Token()[1:], family.Token() + "x"} {
		if ended, err := Bereave(t.Context(), token); len(ended) > 0 || err != nil {
			t.Errorf("with token %q it ended %v, %v", token, ended, err)
		}
	}
	ended, err := Bereave(t.Context(), family.Token())
	if err != nil || len(ended) == 0 || !strings.Contains(fmt.Sprint(ended), strconv.Itoa(child())) {
		t.Errorf("it ended %v, %v", ended, err)
	}
	if lives(child()) {
		t.Error("the child goes on")
	}
	if !lives(service()) {
		t.Error("what was to go on was ended")
	}
}

// A program that a member started may be phasegate again, or the shell of
// somebody who calls it.
func TestNobodyEndsItselfOrItsForebears(t *testing.T) {
	t.Parallel()
	needProc(t)
	family := NewFamily()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := sh(`"$0" -test.run '^TestBereaver$' || exit; echo "the shell goes on"`)
	c.Argv = append(c.Argv, self)
	c.Env = []string{bereaverVariable + "=" + family.Token()}
	out, err := c.Output(family.Context(t.Context()))
	if err != nil || !strings.HasSuffix(out, "the shell goes on\n") {
		t.Errorf("it said %q and ended with %v", out, err)
	}
}

const bereaverVariable = "PHASEGATE_TEST_BEREAVE"

func TestBereaver(t *testing.T) {
	token := os.Getenv(bereaverVariable)
	if token == "" {
		t.Skip("called by the test above only")
	}
	if mark := os.Getenv(familyVariable); !strings.HasPrefix(mark, token+".") {
		t.Errorf("its mark is %q", mark)
	}
	if ended, err := Bereave(t.Context(), token); len(ended) > 0 || err != nil {
		t.Errorf("it ended %v, %v", ended, err)
	}
}

func TestAnothersMarkIsNotPassedOn(t *testing.T) {
	t.Setenv(familyVariable, "ANOTHER.1.")
	for _, ctx := range []context.Context{t.Context(), NewFamily().Context(t.Context())} {
		out, err := sh("echo $" + familyVariable).Output(ctx)
		if err != nil || strings.Contains(out, "ANOTHER") {
			t.Errorf("the child's mark is %q, %v", out, err)
		}
	}
}

func TestAVariableThatIsOnlyNamedIsTakenAway(t *testing.T) {
	t.Setenv("PHASEGATE_TAKEN", "inherited")
	t.Setenv("PHASEGATE_TAKEN_NOT", "inherited")
	c := sh("echo ${PHASEGATE_TAKEN-none} $PHASEGATE_TAKEN_NOT")
	c.Env = []string{"PHASEGATE_TAKEN"}
	if out, err := c.Output(t.Context()); err != nil || out != "none inherited\n" {
		t.Errorf("the child has %q, %v", out, err)
	}
}
