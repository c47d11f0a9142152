package cli

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deaf starts a child in another session and waits for it. Neither heeds a
// signal that can be heeded; both end with the toy.
const deaf = `trap '' INT TERM HUP QUIT
	setsid bash -c 'echo $$ >child; while test -e ../go-on; do sleep 0.05; done' </dev/null >/dev/null 2>&1 &
	while test -e ../go-on; do sleep 0.05; done`

func TestFirstSignalStopsAtTheNextSafePoint(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			y := newToy(t, calm, `echo $$ >child; while :; do sleep 0.05; done`, calm)
			c := y.start("run", "plan.yaml")
			y.pid("second", "child")
			c.gets(signal)
			said := c.ends(ExitInterrupted)
			for _, want := range []string{
				signal.String() + ": stopping at the next safe point, which step second of phase change has to come to",
				"a second signal stops it at once", "interrupted  run ", "next: phasegate run plan.yaml",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			y.nobody()
			y.service("second", calm)
			if said = y.calls(ExitDone, "run", "plan.yaml"); strings.Contains(said, "first") {
				t.Errorf("what was done is done again:\n%s", said)
			}
		})
	}
}

// The step's programs heed no signal: the first signal gives them five seconds.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, deaf, calm)
	c := y.start("run", "plan.yaml")
	y.pid("second", "child")
	c.gets(syscall.SIGTERM)
	y.await("the first signal's message", func() bool { return y.stopping(c) })
	began := time.Now()
	c.gets(syscall.SIGINT)
	said := c.ends(ExitInterrupted)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(said, "stopping at once") || !strings.Contains(said, "phasegate run plan.yaml") {
		t.Errorf("it says:\n%s", said)
	}
	y.nobody()
	if list := y.output("status"); !strings.Contains(list, "interrupted") {
		t.Errorf("status:\n%s", list)
	}
	y.output("audit", y.run())
	y.service("second", calm)
	y.calls(ExitDone, "run", "plan.yaml")
}

func TestSecondSignalStopsARollbackAtOnce(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, calm, deaf)
	y.calls(ExitDone, "run", "plan.yaml")
	c := y.start("rollback", "plan.yaml")
	y.pid("back", "child")
	c.gets(syscall.SIGHUP)
	y.await("the first signal's message", func() bool { return y.stopping(c) })
	c.gets(syscall.SIGHUP)
	if said := c.ends(ExitInterrupted); !strings.Contains(said, "phasegate rollback plan.yaml") {
		t.Errorf("it says:\n%s", said)
	}
	y.nobody()
	y.service("back", calm)
	y.calls(ExitUsage, "run", "plan.yaml")
	if said := y.calls(ExitDone, "rollback", "plan.yaml"); !strings.Contains(said, "rolled back") {
		t.Errorf("it says:\n%s", said)
	}
}

// nohup has SIGHUP ignored, so that a run outlives the terminal.
func TestHangupThatIsIgnoredDoesNotStopARun(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, `echo $$ >child; while test ! -e ../free; do sleep 0.02; done; touch stopped`, calm)
	c := y.shell(`trap "" HUP; exec phasegate run plan.yaml`)
	y.pid("second", "child")
	c.gets(syscall.SIGHUP)
	y.write("free", "")
	if said := c.ends(ExitDone); strings.Contains(said, "stopping") {
		t.Errorf("it says:\n%s", said)
	}
}

// stopping tells whether the call has said that it stops.
func (y *toy) stopping(c *call) bool {
	said, err := os.ReadFile(c.said)
	return err == nil && strings.Contains(string(said), "stopping at the next safe point")
}
