package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

// many writes a plan whose steps each stop a service that counts its calls.
func (y *toy) many(steps int) {
	y.Helper()
	plan := strings.Replace(toyPlan, "      - { id: first", "$      - { id: first", 1)
	before, rest, _ := strings.Cut(plan, "$")
	_, after, _ := strings.Cut(rest, "    rollback:")
	for i := range steps {
		name := fmt.Sprintf("step-%02d", i)
		y.service(name, "echo x >>calls; "+calm)
		before += fmt.Sprintf("      - { id: %s, task: service/stop, with: { service: %q } }\n", name, "exec://"+y.path(name, "control"))
	}
	y.write("plan.yaml", before+"    rollback:"+after)
}

// called counts the steps that were carried out, and those of them that were
// more than once.
func (y *toy) called(steps int) (called, again int) {
	y.Helper()
	for i := range steps {
		name := fmt.Sprintf("step-%02d", i)
		calls, err := os.ReadFile(y.path(name, "calls"))
		if len(calls) > len("x\n") {
			again++
		}
		if err == nil {
			called++
		}
	}
	return called, again
}

// onItsOwnDisk runs lines of shell where phasegate-runs is a file system of that
// size, which only they see.
func (y *toy) onItsOwnDisk(size, lines string) string {
	y.Helper()
	const namespace = "unshare --map-root-user --mount -- "
	if err := exec.CommandContext(y.Context(), "bash", "-c", namespace+"mount -t tmpfs none /mnt").Run(); err != nil {
		y.Skip("a user may not make a file system here:", err)
	}
	y.write("lines.sh", fmt.Sprintf("mkdir phasegate-runs && mount -t tmpfs -o size=%s none phasegate-runs || exit 99\n%s", size, lines))
	return y.shell("exec " + namespace + "bash lines.sh").ends(ExitDone)
}

// The disk is full in the middle of a run: nothing more is done than what is in
// the journal, and once there is room again the run goes on.
func TestRunWhoseDiskIsFullStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	const steps = 16
	y := newToy(t, calm, calm, calm)
	y.many(steps)
	said := y.onItsOwnDisk("12k", `
		phasegate run plan.yaml; echo "first: $?" >&2
		phasegate status >&2
		cat phasegate-runs/*/journal.jsonl | grep -c step_started >started
		cat step-*/calls | wc -l >acted
		phasegate run plan.yaml; echo "full still: $?" >&2
		mount -o remount,size=1m none phasegate-runs
		phasegate run plan.yaml && phasegate audit "$(basename phasegate-runs/*/)" >&2`)
	for _, want := range []string{
		"first: 1\n", "no space left on device", "hint: nothing is done that is not in the journal: make room on its disk", "interrupted",
		"full still: 1\n", "done  run ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	started, acted := y.pid("started"), y.pid("acted")
	if acted == 0 || acted >= steps || acted > started {
		t.Errorf("%d steps had acted and %d starts were on disk, of %d", acted, started, steps)
	}
	// One step had acted, and its result was what the disk had no room for.
	if called, again := y.called(steps); called != steps || again > 1 {
		t.Errorf("%d steps were carried out in the end, %d of them again", called, again)
	}
}

// On a disk that can only be read nothing is begun, gone on with or taken back.
func TestNothingIsDoneWhereTheJournalCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	const steps = 3
	y := newToy(t, calm, calm, "touch called-back")
	y.many(steps)
	y.service("step-02", "echo x >>calls; exit 1")
	said := y.onItsOwnDisk("1m", `
		mount -o remount,ro none phasegate-runs
		phasegate run plan.yaml; echo "new: $?" >&2
		cat step-*/calls && exit 1
		mount -o remount,rw none phasegate-runs
		phasegate run plan.yaml; echo "halted: $?" >&2
		mount -o remount,ro none phasegate-runs
		phasegate run plan.yaml; echo "resume: $?" >&2
		phasegate rollback plan.yaml; echo "rollback: $?" >&2
		phasegate status >&2`)
	for _, want := range []string{
		"new: 2\n", "halted: 1\n", "resume: 2\n", "rollback: 2\n", "read-only file system",
		"make it writable, then call again", "failed",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if called, again := y.called(steps); called != steps || again > 0 {
		t.Errorf("%d steps were carried out, %d of them again", called, again)
	}
	if _, err := os.Stat(y.path("back", "called-back")); err == nil {
		t.Error("the rollback acted")
	}
}

// The journal is deleted in the middle of a run: the run stops, and says so.
func TestRunWhoseJournalIsDeletedStops(t *testing.T) {
	t.Parallel()
	y := newToy(t, "rm -r ../phasegate-runs; "+calm, calm, calm)
	said := y.calls(ExitFailed, "run", "plan.yaml")
	for _, want := range []string{"the journal was deleted", "hint: nothing more is done; put the run's directory back"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if _, err := os.Stat(y.path("second", "stopped")); err == nil {
		t.Error("the next step acted")
	}
}

// A stranger is told which command shows what is left of a damaged journal, and
// what to do about a place in which none can be kept.
func TestJournalThatCannotBeUsedIsToldOfWithTheNextStep(t *testing.T) {
	t.Parallel()
	y := newToy(t, calm, calm, calm)
	y.write("file", "")
	said := y.calls(ExitUsage, "run", "plan.yaml", "--journal", "file/runs")
	if !strings.Contains(said, "hint: ") || !strings.Contains(said, "name a directory that can be made, with --journal or PHASEGATE_JOURNAL") {
		t.Errorf("of a place that is none it says:\n%s", said)
	}
	y.calls(ExitDone, "run", "plan.yaml")
	run := y.run()
	y.edit(filepath.Join("phasegate-runs", run, journal.FileName), `"attempt":1`, `"attempt":2`)
	for _, args := range [][]string{{"status"}, {"status", run}} {
		if said := y.calls(ExitFailed, args...); !strings.Contains(said, "hint: phasegate audit "+run+" says what of it is proven") {
			t.Errorf("%v says:\n%s", args, said)
		}
	}
}
