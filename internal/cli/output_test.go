package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// What cannot be written to the standard output is said on the other one and in
// the exit code, whether a command says it all at once or bit by bit.
func TestStandardOutputThatCannotBeWrittenIsToldOf(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	y := newToy(t, calm, calm, calm)
	y.calls(ExitDone, "run", "plan.yaml")
	for _, line := range []string{
		"status", "status " + y.run(), "status --json", "status --json " + y.run(), "audit " + y.run(), "audit --json " + y.run(),
		"plan plan.yaml", "validate plan.yaml --format json", "run plan.yaml --dry-run", "explain", "tasks", "version", "help",
	} {
		said := y.shell("exec phasegate " + line + " >/dev/full").ends(ExitFailed)
		if n := strings.Count(said, "no space left on device"); n != 1 {
			t.Errorf("%s: it says %d times why it failed:\n%s", line, n, said)
		}
	}
}

// A run goes on to its end whatever becomes of its events' reader. That not all
// of them were read is told, and where they are.
func TestRunIsCarriedOutThoughItsEventsCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]string{"a full disk": ">/dev/full", "a reader that went away": "> >(exec true)"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newToy(t, "while test ! -e ../go; do sleep 0.01; done; touch stopped", calm, calm)
			c := y.shell("exec phasegate run plan.yaml --json " + to)
			y.write("go", "")
			said := c.ends(ExitFailed)
			for _, want := range []string{"done  run ", "the standard output is not whole", "the run's journal has every event"} {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			y.output("audit", y.run())
			if said := y.calls(ExitDone, "rollback", "plan.yaml"); !strings.Contains(said, "rolled back") {
				t.Errorf("the run that was done is not taken back:\n%s", said)
			}
		})
	}
}

// A reader that does not read, such as a stopped pager, does not stop a run. When
// it reads again, it gets every event.
func TestRunDoesNotWaitForWhoeverReadsItsEvents(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, calm, calm)
	if err := syscall.Mkfifo(y.path("events"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(y.path("events"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	full := pipe.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	for full == nil {
		_, full = pipe.Write(make([]byte, 4096))
	}
	c := y.shell("exec phasegate run plan.yaml --json >events")
	y.await("the run's end", func() bool {
		runs, _ := journal.NewDir(y.path("phasegate-runs")).Runs(t.Context())
		if len(runs) == 0 {
			return false
		}
		events, _ := journal.NewDir(y.path("phasegate-runs")).Read(t.Context(), runs[0])
		return len(events) > 0 && journal.Fold(events).Status == journal.Done
	})
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<21)
	for lines.Scan() {
		var e journal.Event
		if err := json.Unmarshal(bytes.Trim(lines.Bytes(), "\x00"), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == journal.Closed {
			break
		}
	}
	c.ends(ExitDone)
}
