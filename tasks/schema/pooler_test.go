package schema_test

import (
	"context"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/pgbouncertest"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func TestAPoolerInTheWayIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	for _, mode := range []pgbouncertest.Mode{pgbouncertest.Transaction, pgbouncertest.Session} {
		through := pgbouncertest.Through(t, dsn, mode)
		for name, step := range map[string]interface {
			Check(ctx context.Context, env *task.Env) error
		}{
			"schema/apply":    apply(through, dir),
			"schema/revert":   revert(through, reversible(t), "1", nil),
			"schema/rehearse": rehearse(through, dir),
			"schema/status":   &schema.Status{DSN: through, Dir: dir},
		} {
			err := step.Check(t.Context(), tasktest.Env(t))
			switch {
			case mode == pgbouncertest.Transaction && err == nil:
				t.Errorf("%s goes through a pooler in transaction mode", name)
			case mode == pgbouncertest.Transaction:
				fails(t, err, "a connection pooler in transaction mode stands between here and the server")
			case err != nil:
				t.Errorf("%s: a pooler in session mode is in nobody's way: %v", name, err)
			}
		}
	}
	if hasTable(t, dsn, "wards") {
		t.Error("something was applied")
	}
}
