package medlogistics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/sandbox/home"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// call calls the script and returns its exit status and last words.
func call(t *testing.T, script, action string) (int, string) {
	t.Helper()
	err := command.Command{Argv: []string{script, action}}.Run(t.Context())
	if failed, ok := errors.AsType[*command.Error](err); ok {
		return failed.ExitCode, failed.Stderr
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, ""
}

func expectExit(t *testing.T, script, action string, want int) {
	t.Helper()
	if got, words := call(t, script, action); got != want {
		t.Errorf("%s exits with %d, want %d: %s", action, got, want, words)
	}
}

// scripted writes the script of an API in a directory whose name needs quoting,
// and returns it with the API's address.
func scripted(t *testing.T, owner string) (script, url string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), `it's a "place"`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	api := API{
		Listen: freeAddress(t), DatabaseURL: postgrestest.ForTest(t).DSN("postgres"),
		Domain: "t.example", Audience: audience, Owner: owner,
	}
	script, err := Script(dir, []string{os.Args[0], "sandbox-api"}, api.Environment())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Command{Argv: []string{script, "stop"}}.Run(context.Background()) })
	return script, "http://" + api.Listen
}

// daemon is the number in the pid file, 0 if there is none.
func daemon(script string) int {
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(script), "pid"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func answers(url string) bool {
	response, err := http.Get(url + "/docs")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == 200
}

func TestTheScriptStartsTellsAndStopsHoweverOftenItIsCalled(t *testing.T) {
	script, url := scripted(t, "")
	expectExit(t, script, "status", 3)
	expectExit(t, script, "stop", 0)
	var first int
	for range 2 {
		expectExit(t, script, "start", 0)
		expectExit(t, script, "status", 0)
		eventually(t, "it answers", func() bool { return answers(url) })
		if first == 0 {
			first = daemon(script)
		}
	}
	if again := daemon(script); again != first || !alive(first) {
		t.Errorf("the second start made another process: %d, then %d", first, again)
	}
	if group, err := syscall.Getpgid(first); err != nil || group != first {
		t.Errorf("the daemon is in the group %d of its starter, %v", group, err)
	}
	for range 2 {
		expectExit(t, script, "stop", 0)
		expectExit(t, script, "status", 3)
	}
	if alive(first) || answers(url) {
		t.Error("it still runs")
	}
	expectExit(t, script, "restart", 2)
}

func TestStartsAndStopsAtOnceLeaveAtMostOneDaemon(t *testing.T) {
	script, url := scripted(t, "")
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() { expectExit(t, script, "start", 0) })
	}
	calls.Wait()
	eventually(t, "it answers", func() bool { return answers(url) })
	expectExit(t, script, "stop", 0)
	if answers(url) {
		t.Error("a second daemon still runs")
	}
}

func TestAStalePidFileIsNotBelieved(t *testing.T) {
	script, url := scripted(t, "")
	other, err := command.Command{Argv: []string{"sleep", "600"}}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Signal(syscall.SIGKILL)
	for _, stale := range []string{strconv.Itoa(other.PID()), "4194999", "", "x"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(script), "pid"), []byte(stale+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expectExit(t, script, "status", 3)
		expectExit(t, script, "stop", 0)
		if !alive(other.PID()) {
			t.Fatal("stop ended a program that is none of its business")
		}
		expectExit(t, script, "start", 0)
		eventually(t, "it answers", func() bool { return answers(url) })
		expectExit(t, script, "stop", 0)
	}
}

func TestACallThatWasKilledDoesNotBlockTheNext(t *testing.T) {
	script, _ := scripted(t, "")
	if err := os.Symlink("4194999", filepath.Join(filepath.Dir(script), "turn")); err != nil {
		t.Fatal(err)
	}
	expectExit(t, script, "start", 0)
	if pid := daemon(script); syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Fatal("the daemon does not run")
	}
	eventually(t, "it is gone", func() bool { code, _ := call(t, script, "status"); return code == 3 })
	expectExit(t, script, "start", 0)
	expectExit(t, script, "stop", 0)
}

func TestAProgramThatEndsAtOnceFailsTheStart(t *testing.T) {
	dir := t.TempDir()
	// One that starts may be seen running for a moment: this one never is.
	script, err := Script(dir, []string{filepath.Join(dir, "gone")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	code, words := call(t, script, "start")
	if code != 1 || !strings.Contains(words, "it ended at once: ") || !strings.Contains(words, "gone: not found") {
		t.Errorf("start exits with %d: %s", code, words)
	}
	expectExit(t, script, "status", 3)
}

func TestTheScriptsSecretsAreInOneFileThatOnlyTheOwnerReads(t *testing.T) {
	dir := t.TempDir()
	const secret = `it's $ECRET "and" \ more`
	script, err := Script(dir, []string{"/bin/sh", "-c", `printf %s "$VALUE" >value; while :; do sleep 0.1; done`}, []string{"VALUE=" + secret})
	if err != nil {
		t.Fatal(err)
	}
	expectExit(t, script, "start", 0)
	defer expectExit(t, script, "stop", 0)
	eventually(t, "the program has the secret", func() bool {
		got, _ := os.ReadFile(filepath.Join(dir, "value"))
		return string(got) == secret
	})
	for name, want := range map[string]os.FileMode{"control": 0o700, "environment": 0o600, "log": 0o600, "value": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(script)
	if err != nil || strings.Contains(string(text), "ECRET") {
		t.Errorf("the script holds the secret, %v", err)
	}
}

func TestTheDaemonEndsWithTheSandboxThatOwnsIt(t *testing.T) {
	h, err := home.New(t.TempDir(), "owner-")
	if err != nil {
		t.Fatal(err)
	}
	script, url := scripted(t, h.LockFile())
	expectExit(t, script, "start", 0)
	eventually(t, "it answers", func() bool { return answers(url) })
	if err := h.Remove(); err != nil { // frees the lock, as the owner's death does
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool { code, _ := call(t, script, "status"); return code == 3 })
}
