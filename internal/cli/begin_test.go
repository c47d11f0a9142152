package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// Killed before its first event is on disk, a run never was: nothing is listed
// and nothing is in the way, wherever the journal is.
func TestRunThatWasKilledBeforeItsFirstEventNeverWas(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]string{"directory": "runs", "postgres": postgrestest.Database(t).Reveal()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newToy(t, calm, calm, calm)
			y.environ = append(y.environ, "PHASEGATE_JOURNAL="+place)
			calm := y.environ
			y.environ = append(y.environ, deathVariable+"=before 1")
			y.calls(-1, "run", "plan.yaml")
			y.environ = calm
			if y.stopped("first") {
				t.Error("a step was carried out before the run began")
			}
			if list := y.output("status"); strings.Contains(list, "toy") {
				t.Errorf("status lists it:\n%s", list)
			}
			if said := y.calls(ExitUsage, "rollback", "plan.yaml"); !strings.Contains(said, "no run to roll back") {
				t.Errorf("rollback says:\n%s", said)
			}
			if said := y.calls(ExitDone, "run", "plan.yaml"); strings.Contains(said, "goes on") {
				t.Errorf("run says:\n%s", said)
			}
			if list := y.output("status"); strings.Count(list, "toy") != 1 {
				t.Errorf("status lists:\n%s", list)
			}
			if left, _ := filepath.Glob(y.path("tmp", "*.lock")); len(left) > 0 {
				t.Errorf("lock files are left: %v", left)
			}
		})
	}
}
