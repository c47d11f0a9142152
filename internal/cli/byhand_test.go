package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// By hand, the rollback piped a dump into the live database, restored nothing
// and reported success.
func TestByHandFailure01RollbackRestoresEveryRowOrSaysThatItDidNot(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, auth0.Unlimited)
	before := s.contents()
	s.phasegate(ExitDone, "run", s.plan)
	s.execute("update medication_orders set dosage = 'changed after the cut-over'")
	if output := s.phasegate(ExitDone, "rollback", s.plan); !strings.Contains(output, "database=medlogistics_replaced_") {
		t.Errorf("the rollback does not say where the replaced database is:\n%s", output)
	}
	if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
		t.Errorf("the rollback did not restore:\n%s", strings.Join(differences, "\n"))
	}

	s.phasegate(ExitDone, "run", s.plan)
	s.dropStaged()
	output := s.phasegate(ExitRollbackIncomplete, "rollback", s.plan)
	if !strings.Contains(output, "a person is needed") || !strings.Contains(output, "put-back") {
		t.Errorf("a rollback that could not restore says:\n%s", output)
	}
	if !s.serves() {
		t.Error("the API does not work after a rollback that could not restore")
	}
}

// By hand, a plan that was changed after its approval was carried out.
func TestByHandFailure10ChangedPlanIsNoticed(t *testing.T) {
	t.Parallel()
	s := newStage(t, 5, auth0.Unlimited)
	s.phasegate(ExitDone, "run", s.plan, "--to", "schema")
	migration := filepath.Join(s.dir, "schema", "20261101000000_auth0.sql")
	text, err := os.ReadFile(migration)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(migration, append(text, "-- changed\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"run", "rollback"} {
		output := s.phasegate(ExitUsage, verb, s.plan)
		if !strings.Contains(output, "was changed") || !strings.Contains(output, "hint: put the plan and its files back") {
			t.Errorf("%s with a changed migration says:\n%s", verb, output)
		}
	}
	if err := os.WriteFile(migration, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.phasegate(ExitDone, "rollback", s.plan)
}
