package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// A toy is a small plan whose steps stop services by scripts: real processes,
// with as much or as little sense as a test wants.
type toy struct {
	*testing.T
	dir     string
	environ []string // beside PATH
}

const toyPlan = `version: 1
name: toy
env: { FIRST: {}, SECOND: {}, BACK: {} }
phases:
  - name: change
    on_failure: halt
    steps:
      - { id: first, task: service/stop, with: { service: "${{ env.FIRST }}" } }
      - { id: second, task: service/stop, with: { service: "${{ env.SECOND }}" } }
    rollback:
      - { id: back, task: service/stop, with: { service: "${{ env.BACK }}" } }
`

// calm is a service that stops at once.
const calm = `touch stopped`

// newToy writes the plan and its three services, each of which does what its
// script says when it is stopped, in a directory of its own.
func newToy(t *testing.T, first, second, back string) *toy {
	t.Helper()
	y := &toy{T: t, dir: t.TempDir()}
	temp := y.path("tmp")
	y.environ = []string{"TMPDIR=" + temp}
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	y.write("plan.yaml", toyPlan)
	for name, script := range map[string]string{"first": first, "second": second, "back": back} {
		y.service(name, script)
		y.environ = append(y.environ, strings.ToUpper(name)+"=exec://"+y.path(name, "control"))
	}
	t.Cleanup(func() { _ = os.Remove(y.path("go-on")) })
	y.write("go-on", "")
	return y
}

// service writes an init script that runs until it is stopped, which is done by
// the given lines of shell.
func (y *toy) service(name, stop string) {
	y.Helper()
	if err := os.MkdirAll(y.path(name), 0o700); err != nil {
		y.Fatal(err)
	}
	y.write(filepath.Join(name, "control"), fmt.Sprintf(`#!/bin/bash
cd "$(dirname "$0")" || exit 1
case $1 in
  status) test ! -e stopped || exit 3 ;;
  stop) %s
  ;;
esac
`, stop))
	if err := os.Chmod(y.path(name, "control"), 0o700); err != nil {
		y.Fatal(err)
	}
}

func (y *toy) path(names ...string) string {
	return filepath.Join(append([]string{y.dir}, names...)...)
}

func (y *toy) write(name, content string) {
	y.Helper()
	if err := os.WriteFile(y.path(name), []byte(content), 0o600); err != nil {
		y.Fatal(err)
	}
}

// A call is phasegate at work on the toy.
type call struct {
	*exec.Cmd
	toy  *toy
	said string // file with its standard error, which can be read while it is written
}

// start calls phasegate and goes on.
func (y *toy) start(args ...string) *call {
	y.Helper()
	return y.starts(exec.CommandContext(y.Context(), "phasegate", args...))
}

// shell calls it by a line of shell, which becomes phasegate.
func (y *toy) shell(line string) *call {
	y.Helper()
	return y.starts(exec.CommandContext(y.Context(), "bash", "-c", line))
}

// heeded has SIGHUP reach children also where the tests run under nohup: what is
// ignored is inherited, what is caught is not.
var heeded = sync.OnceFunc(func() {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
})

func (y *toy) starts(cmd *exec.Cmd) *call {
	y.Helper()
	heeded()
	said, err := os.CreateTemp(y.TempDir(), "said")
	if err != nil {
		y.Fatal(err)
	}
	defer said.Close()
	cmd.Dir, cmd.Stderr = y.dir, said
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, y.environ...)
	if err := cmd.Start(); err != nil {
		y.Fatal(err)
	}
	return &call{cmd, y, said.Name()}
}

// output calls it to its end, which must be well, and returns its standard output.
func (y *toy) output(args ...string) string {
	y.Helper()
	cmd := exec.CommandContext(y.Context(), "phasegate", args...)
	cmd.Dir = y.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, y.environ...)
	var said bytes.Buffer
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		y.Fatalf("phasegate %v: %v\n%s%s", args, err, output, &said)
	}
	return string(output)
}

// run is the name of the toy's only run.
func (y *toy) run() string {
	y.Helper()
	runs, err := journal.NewDir(y.path("phasegate-runs")).Runs(y.Context())
	if err != nil || len(runs) != 1 {
		y.Fatalf("the runs are %v, %v", runs, err)
	}
	return runs[0]
}

// ends waits for the call's end, which must be with code, and returns what it
// said. A code of -1 is an end by a signal.
func (c *call) ends(code int) string {
	c.toy.Helper()
	_ = c.Wait()
	said, err := os.ReadFile(c.said)
	if err != nil {
		c.toy.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		c.toy.Fatalf("%v exited with %d, want %d:\n%s", c.Args, got, code, said)
	}
	return string(said)
}

func (c *call) gets(signal syscall.Signal) {
	c.toy.Helper()
	if err := c.Process.Signal(signal); err != nil {
		c.toy.Fatal(err)
	}
}

// calls is start and ends.
func (y *toy) calls(code int, args ...string) string {
	y.Helper()
	return y.start(args...).ends(code)
}

// await waits until something holds.
func (y *toy) await(what string, holds func() bool) {
	y.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			y.Fatal("this never came:", what)
		}
	}
}

// pid waits for the number that a process writes to a file.
func (y *toy) pid(names ...string) (pid int) {
	y.Helper()
	y.await("the process "+filepath.Join(names...), func() bool {
		text, err := os.ReadFile(y.path(names...))
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	return pid
}

// nobody holds that no process works in the toy's directory any more.
func (y *toy) nobody() {
	y.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		y.Skip("there is no /proc here")
	}
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(cwd, y.dir) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			y.Errorf("process %s was left behind: %q", filepath.Dir(link), line)
		}
	}
}

// edit replaces a text in a file, which must be there.
func (y *toy) edit(name, old, replacement string) {
	y.Helper()
	info, err := os.Stat(y.path(name))
	if err != nil {
		y.Fatal(err)
	}
	text, err := os.ReadFile(y.path(name))
	if err != nil || !strings.Contains(string(text), old) {
		y.Fatalf("%s does not hold %q: %v", name, old, err)
	}
	if err := os.WriteFile(y.path(name), []byte(strings.Replace(string(text), old, replacement, 1)), info.Mode()); err != nil {
		y.Fatal(err)
	}
}

// page serves a health page that says that all is well.
func (y *toy) page() string {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	y.Cleanup(server.Close)
	return server.URL
}

// lives tells whether a process is there that is no zombie.
func (y *toy) lives(pid int) bool {
	y.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil && !os.IsNotExist(err) {
		y.Skip("there is no /proc here")
	}
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
