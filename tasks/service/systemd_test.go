package service_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

// namespace runs this test binary under a systemd of its own, in namespaces
// that the machine does not see. Its $1 is the directory for all that it needs,
// its other arguments are the command.
const namespace = `
dir=$1; shift
mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/system || exit 125
export HOME="$dir" XDG_RUNTIME_DIR="$dir/run"
/lib/systemd/systemd --user --unit=basic.target >"$dir/systemd.log" 2>&1 &
exec "$@"
`

// TestASystemdUnitIsStartedAndStopped calls itself in the namespaces, where it
// finds PHASEGATE_TEST_SYSTEMD set to the daemon's directory.
func TestASystemdUnitIsStartedAndStopped(t *testing.T) {
	if dir := os.Getenv("PHASEGATE_TEST_SYSTEMD"); dir != "" {
		startAndStopUnit(t, dir)
		return
	}
	t.Parallel()
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil || os.Getuid() != 0 {
		t.Skip("a systemd of its own needs systemd installed and root")
	}
	s := newService(t)
	units := filepath.Join(s.dir, ".config/systemd/user")
	for _, dir := range []string{units, filepath.Join(s.dir, "run")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write(t, "url", s.url)
	s.write(t, ".config/systemd/user/medlog.service", "[Service]\nExecStart="+s.dir+"/daemon\nRestart=always\nRestartSec=60\n")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "--pid", "--fork",
		"--mount-proc", "--kill-child", "sh", "-c", namespace, "sh", s.dir,
		self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "PHASEGATE_TEST_SYSTEMD="+s.dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 125 || strings.Contains(string(out), "unshare failed") {
		t.Skipf("this machine gives no namespaces: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		log, _ := os.ReadFile(filepath.Join(s.dir, "systemd.log"))
		t.Fatalf("%v:\n%s\n%s", err, out, log)
	}
}

func startAndStopUnit(t *testing.T, dir string) {
	deadline := time.Now().Add(10 * time.Second)
	for exec.Command("systemctl", "--user", "list-units").Run() != nil && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	url, err := os.ReadFile(filepath.Join(dir, "url"))
	if err != nil {
		t.Fatal(err)
	}
	unit := address(t, "systemd://medlog?scope=user")
	start := &service.Start{Service: unit, URL: task.URL(url), Timeout: 20 * time.Second}
	stop := &service.Stop{Service: unit, URL: task.URL(url), Timeout: 20 * time.Second}
	env := tasktest.Env(t)
	for range 2 {
		if err := start.Check(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		if _, err := start.Run(t.Context(), env); err != nil {
			t.Fatalf("start: %v", err)
		}
		if _, err := start.Run(t.Context(), env); !isSkip(err) {
			t.Errorf("a start of what runs: %v", err)
		}
		if _, err := stop.Run(t.Context(), env); err != nil {
			t.Fatalf("stop: %v", err)
		}
		if _, err := stop.Run(t.Context(), env); !isSkip(err) {
			t.Errorf("a stop of what is down: %v", err)
		}
	}
	absent := &service.Stop{Service: address(t, "systemd://absent?scope=user"), Timeout: time.Second}
	if err := absent.Check(t.Context(), env); err == nil || !strings.Contains(err.Error(), "absent.service is not-found") {
		t.Errorf("an unknown unit: %v", err)
	}
}
