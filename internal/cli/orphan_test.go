package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A writer that phasegate started, and that outlives it, writes on in its own
// session until it is ended.
const writer = `setsid bash -c 'echo $$ >child; while test -e ../go-on; do echo x >>written; sleep 0.01; done' </dev/null >/dev/null 2>&1 &
	while test -e ../go-on; do sleep 0.05; done`

// After the writer only somebody who looks whether it still writes is calm.
const looks = `a=$(wc -c <written); sleep 0.2; b=$(wc -c <written)
	test "$a" = "$b" || { echo "somebody writes" >&2; exit 1; }
	touch stopped`

func TestProgramsOfAKilledRunAreEndedBeforeItGoesOn(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"run", "rollback"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			y := newToy(t, calm, "trap '' TERM HUP\n"+writer, "cd ../second; "+looks+"; touch ../back/stopped")
			c := y.start("run", "plan.yaml")
			child := y.pid("second", "child")
			c.gets(syscall.SIGKILL)
			c.ends(-1)
			if !y.lives(child) {
				t.Fatal("the writer ended by itself: there is nothing to find")
			}
			y.service("second", looks)
			said := y.calls(ExitDone, verb, "plan.yaml")
			for _, want := range []string{
				fmt.Sprintf("ended what an earlier phasegate (process %d, killed) had left at work: ", c.Process.Pid),
				fmt.Sprintf("bash (process %d)", child),
			} {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			y.nobody()
			if left, _ := filepath.Glob(y.path("tmp", "*.lock")); len(left) > 0 {
				t.Errorf("lock files are left: %v", left)
			}
		})
	}
}

// A service is meant to go on when the process that started it does not.
func TestServiceThatAKilledRunStartedGoesOn(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, writer, calm)
	y.service("api", "exit 1")
	daemon := `
  start) bash -c 'echo $$ >child; while test -e ../go-on; do sleep 0.05; done' </dev/null >/dev/null 2>&1 &
  until test -e child; do sleep 0.01; done ;;`
	y.edit("api/control", "  stop)", daemon+"\n  stop)")
	y.edit("api/control", "status) test ! -e stopped || exit 3", `status) kill -0 "$(cat child)" || exit 3`)
	url := y.page()
	y.edit("plan.yaml", "      - { id: second",
		fmt.Sprintf("      - { id: api, task: service/start, with: { service: %q, url: %q, expect: {} } }\n      - { id: second",
			"exec://"+y.path("api", "control"), url))
	c := y.start("run", "plan.yaml")
	service, child := y.pid("api", "child"), y.pid("second", "child")
	c.gets(syscall.SIGKILL)
	c.ends(-1)
	y.service("second", looks)
	y.calls(ExitDone, "run", "plan.yaml")
	if y.lives(child) {
		t.Error("the writer goes on")
	}
	if !y.lives(service) {
		t.Error("the service was ended")
	}
}

// What a call leaves that was not killed may be meant to go on; and one that is
// alive has its programs to itself, also where the lock is not shared.
func TestProgramsOfALivingOrFinishedCallAreLeftAlone(t *testing.T) {
	t.Parallel()
	daemon := writer[:strings.LastIndex(writer, "while")] // which the step does not wait for
	y := newToy(t, daemon+"until test -e child; do sleep 0.01; done; touch stopped", calm, calm)
	y.calls(ExitDone, "run", "plan.yaml")
	finished := y.pid("first", "child")

	y.service("second", writer)
	_ = os.Remove(y.path("second", "stopped"))
	c := y.start("run", "plan.yaml", "--journal", "one")
	living := y.pid("second", "child")
	if said := y.calls(ExitUsage, "run", "plan.yaml", "--journal", "two"); !strings.Contains(said, fmt.Sprintf("process %d, since ", c.Process.Pid)) ||
		!strings.Contains(said, fmt.Sprintf("kill -INT %d", c.Process.Pid)) {
		t.Errorf("it does not say who holds it:\n%s", said)
	}
	elsewhere := y.path("elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	y.environ = append(y.environ, "TMPDIR="+elsewhere)
	y.service("second", calm)
	y.calls(ExitDone, "run", "plan.yaml", "--journal", "three")
	if !y.lives(finished) || !y.lives(living) {
		t.Error("programs were ended that no killed phasegate had left")
	}
	c.gets(syscall.SIGKILL)
	c.ends(-1)
}

// Killed before it has written down who it is, or in the middle of that, it has
// started nothing.
func TestLockFileOfAKilledCallKeepsNobodyOff(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, writer, calm)
	c := y.start("run", "plan.yaml")
	y.pid("second", "child")
	found, err := filepath.Glob(y.path("tmp", "*.lock"))
	if err != nil || len(found) != 1 {
		t.Fatalf("lock files: %v, %v", found, err)
	}
	whole, err := os.ReadFile(found[0])
	var by claim
	if err != nil || json.Unmarshal(whole, &by) != nil || by.PID != c.Process.Pid {
		t.Fatalf("the claim is %s, %v", whole, err)
	}
	c.gets(syscall.SIGINT)
	c.ends(ExitInterrupted)
	y.service("second", calm)
	for _, content := range [][]byte{nil, whole[:len(whole)/2], []byte("null"), []byte(`{"family":""}`)} {
		if err := os.WriteFile(found[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		y.calls(ExitDone, "run", "plan.yaml")
		if _, err := os.Stat(found[0]); err == nil {
			t.Errorf("after %q the lock file is left", content)
		}
	}
}
