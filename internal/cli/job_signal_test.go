package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the runner gives a step that is cancelled, and what a test gives it: the
// first wait is shorter, the second is what a second signal's last words need.
// actions/runner, ProcessInvoker.cs.
const (
	runnersFirst  = 7500 * time.Millisecond
	runnersSecond = 2500 * time.Millisecond
	testsFirst    = 1500 * time.Millisecond
)

// step starts a script as the runner starts a step.
func (j *job) step(script string) *call {
	j.Helper()
	j.write("step.sh", script)
	return j.starts(exec.CommandContext(j.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", j.path("step.sh")))
}

// cancelled signals a step as the runner does: the entry process and no other. It
// returns the last signal that was needed.
func (c *call) cancelled(first, second time.Duration) syscall.Signal {
	c.toy.Helper()
	ended := make(chan struct{})
	go func() { _, _ = c.Process.Wait(); close(ended) }()
	for _, kill := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, first}, {syscall.SIGTERM, second}, {syscall.SIGKILL, time.Minute}} {
		_ = c.Process.Signal(kill.signal)
		select {
		case <-ended:
			return kill.signal
		case <-time.After(kill.wait):
		}
	}
	c.toy.Fatal("it cannot be killed")
	return 0
}

// endOfJob ends what the job left behind, as the runner does: by its variable.
func (j *job) endOfJob() {
	j.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(files) == 0 {
		j.Skip("there is no /proc here")
	}
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(environ), "\x00RUNNER_TRACKING_ID="+j.dir+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			j.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	j.await("the end of what the job left", func() bool { return !j.tracked() })
}

func (j *job) tracked() bool {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err == nil && strings.Contains("\x00"+string(environ), "\x00RUNNER_TRACKING_ID="+j.dir+"\x00") {
			return true
		}
	}
	return false
}

// cancellable is a job whose second step works until it is stopped.
func cancellable(t *testing.T, second string) *job {
	j := newJob(t, "", history("approved bob prod"))
	j.environ = append(j.environ, "RUNNER_TRACKING_ID="+j.dir)
	j.service("second", second)
	return j
}

const busy = `echo $$ >child; while :; do sleep 0.05; done`

// A step of the workflow is the script below: exec makes phasegate the process
// that the runner signals.
func TestACancelledStepStopsAtASafePointAndIsTakenBackByTheNextStep(t *testing.T) {
	t.Parallel()
	j := cancellable(t, busy)
	step := j.step("set -u\nexec phasegate run plan.yaml\n")
	j.pid("second", "child")
	if last := step.cancelled(testsFirst, runnersSecond); last != syscall.SIGINT {
		t.Errorf("it took %v to stop it", last)
	}
	j.endOfJob()
	j.nobody()
	if got := j.outputs(); got["status"] != "interrupted" || got["phase"] != "change" {
		t.Errorf("outputs %v", got)
	}
	if list := j.output("status"); !strings.Contains(list, "interrupted") {
		t.Errorf("status:\n%s", list)
	}
	said := j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "as-planned")
	if _, err := os.Stat(j.path("back", "stopped")); err != nil {
		t.Errorf("it is not taken back: %v\n%s", err, said)
	}
	if got := j.outputs(); got["status"] != "rolled_back" {
		t.Errorf("outputs %v", got)
	}
	if said := j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "always"); !strings.Contains(said, "nothing is taken back") {
		t.Errorf("a second time it says:\n%s", said)
	}
}

func TestACancelledRunGoesOnWhereItStoppedWhenTheWorkflowIsStartedAnew(t *testing.T) {
	t.Parallel()
	j := cancellable(t, busy)
	step := j.step("exec phasegate run plan.yaml\n")
	j.pid("second", "child")
	step.cancelled(testsFirst, runnersSecond)
	j.service("second", calm)
	said := j.calls(ExitDone, "run", "plan.yaml")
	if strings.Contains(said, "first") || j.outputs()["status"] != "done" {
		t.Errorf("outputs %v, and it says:\n%s", j.outputs(), said)
	}
}

// A step that heeds nothing is left behind in the runner's ten seconds, and the
// journal is what the next call needs.
func TestACancelledStepThatIsDeafEndsBeforeTheRunnerKillsIt(t *testing.T) {
	t.Parallel()
	j := cancellable(t, deaf)
	step := j.step("exec phasegate run plan.yaml\n")
	j.pid("second", "child")
	first := testsFirst
	if os.Getenv("PHASEGATE_SOAK") != "" {
		first = runnersFirst
	}
	if last := step.cancelled(first, runnersSecond); last == syscall.SIGKILL {
		t.Error("only SIGKILL ended it")
	}
	j.endOfJob()
	j.nobody()
	if list := j.output("status"); !strings.Contains(list, "interrupted") {
		t.Errorf("status:\n%s", list)
	}
	j.service("second", calm)
	j.calls(ExitDone, "run", "plan.yaml")
}

// Without exec the shell is what the runner signals, and phasegate gets none of
// it: it works on until the end of the job kills it. Even then nothing is lost.
func TestWithoutExecAStepIsKilledInTheMiddleAndGoesOnStill(t *testing.T) {
	t.Parallel()
	j := cancellable(t, busy)
	step := j.step("phasegate run plan.yaml\necho after\n")
	j.pid("second", "child")
	step.cancelled(testsFirst/3, runnersSecond/10)
	said, err := os.ReadFile(step.said)
	if err != nil || strings.Contains(string(said), "stopping") {
		t.Errorf("a signal arrived: %v\n%s", err, said)
	}
	j.endOfJob()
	if list := j.output("status"); !strings.Contains(list, "interrupted") {
		t.Errorf("status:\n%s", list)
	}
	j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "as-planned")
	if _, err := os.Stat(j.path("back", "stopped")); err != nil {
		t.Errorf("it is not taken back: %v", err)
	}
}

// What must not be taken back by a job's last step.
func TestTheLastStepLeavesAloneWhatTheJobDidNotStop(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	for _, c := range []struct {
		name, environ, says string
		before              func()
	}{
		{name: "nothing began", says: "the plan has no run", before: func() {}},
		{name: "waiting", says: "changed nothing", before: func() { j.calls(ExitWaiting, "run", "plan.yaml") }},
		{name: "another workflow's", environ: "GITHUB_RUN_ID=778", says: "is not of this workflow's run", before: func() {}},
	} {
		c.before()
		before := j.environ
		j.environ = append(slices.Clip(j.environ), c.environ)
		if said := j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "always"); !strings.Contains(said, c.says) {
			t.Errorf("%s: it says:\n%s", c.name, said)
		}
		j.environ = before
	}
	j.calls(ExitUsage, "rollback", "plan.yaml", "--if-stopped", "perhaps")
}

// Where the plan leaves a phase as it is when it fails, so does the last step of a
// job, unless the workflow was started with if_stopped: always.
func TestTheLastStepTakesBackWhatThePlanLeavesOnlyWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, second string
		stops        func(*job)
		says         string
	}{
		{"failed", "exit 1", func(j *job) { j.calls(ExitFailed, "run", "plan.yaml") }, "is failed"},
		{"cancelled", busy, func(j *job) {
			step := j.step("exec phasegate run plan.yaml\n")
			j.pid("second", "child")
			step.cancelled(testsFirst, runnersSecond)
		}, "stopped in a phase that the plan leaves as it is on failure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := cancellable(t, c.second)
			j.edit("plan.yaml", "on_failure: rollback", "on_failure: halt")
			c.stops(j)
			if said := j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "as-planned"); !strings.Contains(said, c.says) {
				t.Errorf("as planned it says:\n%s", said)
			}
			if _, err := os.Stat(j.path("back", "stopped")); err == nil {
				t.Error("it is taken back against the plan")
			}
			j.calls(ExitDone, "rollback", "plan.yaml", "--if-stopped", "always")
			if _, err := os.Stat(j.path("back", "stopped")); err != nil || j.outputs()["status"] != "rolled_back" {
				t.Errorf("it is not taken back: %v, outputs %v", err, j.outputs())
			}
		})
	}
}

// A service that a step started is not the job's: it outlives it.
func TestAStartedServiceOutlivesTheJob(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.environ = append(j.environ, "RUNNER_TRACKING_ID="+j.dir)
	healthy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"healthy"}`)
	}))
	defer healthy.Close()
	j.write("plan.yaml", `version: 1
name: toy
env: { FIRST: {} }
phases:
  - name: change
    irreversible: it is a toy
    steps:
      - { id: first, task: service/start, with: { service: "${{ env.FIRST }}", url: "`+healthy.URL+`", timeout: 20s } }
`)
	j.write("first/control", `#!/bin/bash
cd "$(dirname "$0")" || exit 1
case $1 in
  status) test -e pid || exit 3 ;;
  start) setsid bash -c 'echo $$ >pid; while test -e ../go-on; do sleep 0.05; done' </dev/null >/dev/null 2>&1 & ;;
  stop) kill "$(cat pid)" ;;
esac
`)
	j.calls(ExitDone, "run", "plan.yaml")
	pid := j.pid("first", "pid")
	j.endOfJob()
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the service ended with the job: %v", err)
	}
}
