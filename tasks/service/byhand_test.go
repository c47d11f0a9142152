package service_test

import (
	"os"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// By hand, the schema phase stopped the API's container and then executed the
// migrations inside of it, which can never work.
func TestByHandFailure05TheSchemaIsAppliedWhileTheServiceIsDown(t *testing.T) {
	s := newService(t)
	dsn := postgrestest.Database(t)
	if err := medlogistics.Seed(t.Context(), dsn, 20); err != nil {
		t.Fatal(err)
	}
	s.write(t, "dsn", dsn.Reveal())
	mustStart(t, s)
	stop := stopOf(t, s)
	stop.Database = dsn
	if _, err := stop.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Fatal(err)
	}

	apply := &schema.Apply{
		DSN: dsn, Dir: "../../schema", Baseline: "20260101000000", To: "20261101000000",
		LockTimeout: time.Second, LockTries: 1, StatementTimeout: time.Minute,
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir()) // nothing can be executed, in a container or out of it
	if err := apply.Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Fatal(err)
	}
	if receipt, err := apply.Run(t.Context(), tasktest.Env(t)); err != nil || receipt.To != "20261101000000" {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	t.Setenv("PATH", path)
	if receipt := mustStart(t, s); receipt.HealthyMS == 0 {
		t.Errorf("the service was not down meanwhile: %+v", receipt)
	}
}
