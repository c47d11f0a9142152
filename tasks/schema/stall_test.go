package schema_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// stall runs work beside a transaction that stays open for so long on the table
// that work changes, and returns the longest time that a writing application
// waited meanwhile, asking a hundred times a second.
func stall(t testing.TB, dsn redact.Secret, open time.Duration, work func()) time.Duration {
	t.Helper()
	report := connect(t, dsn)
	if _, err := report.Exec(t.Context(), "begin; select count(*) from wards"); err != nil {
		t.Fatal(err)
	}
	writer := connect(t, dsn)
	ctx, stop := context.WithCancel(t.Context())
	longest := make(chan time.Duration, 1)
	go func() {
		var worst time.Duration
		beat := time.NewTicker(10 * time.Millisecond)
		defer beat.Stop()
		for ; ctx.Err() == nil; <-beat.C {
			begin := time.Now()
			if _, err := writer.Exec(context.Background(), "update wards set name = name where id = 1"); err != nil {
				t.Error(err)
			}
			worst = max(worst, time.Since(begin))
		}
		longest <- worst
	}()
	ended := make(chan struct{})
	end := time.AfterFunc(open, func() {
		_, _ = report.Exec(context.Background(), "commit")
		close(ended)
	})
	work()
	if end.Stop() {
		t.Fatal("the change did not wait for the long transaction: this shows nothing")
	}
	<-ended
	stop()
	return <-longest
}

func wardsInUse(t testing.TB) redact.Secret {
	t.Helper()
	dsn := postgrestest.Database(t)
	first := apply(dsn, wards(t))
	first.To = "2"
	mustApply(t, first)
	do(t, dsn, "insert into wards values (1, 'A1')")
	return dsn
}

func TestALongTransactionElsewhereDoesNotStallTheApplication(t *testing.T) {
	open, most := 1500*time.Millisecond, 1200*time.Millisecond // the machine may be busy
	if os.Getenv("PHASEGATE_SOAK") != "" {
		open, most = 8*time.Second, 200*time.Millisecond
	}
	dsn := wardsInUse(t)
	worst := stall(t, dsn, open, func() { mustApply(t, apply(dsn, wards(t))) })
	t.Logf("a transaction of %s, the longest wait of the application %s", open, worst)
	if worst > most {
		t.Errorf("the application waited for %s, more than %s", worst, most)
	}
}

// BenchmarkStall compares with what an ALTER TABLE alone does to the
// application beside a transaction of two seconds.
func BenchmarkStall(b *testing.B) {
	var ours, plain time.Duration
	for b.Loop() {
		dsn := wardsInUse(b)
		ours = max(ours, stall(b, dsn, 2*time.Second, func() {
			if _, err := apply(dsn, wards(b)).Run(b.Context(), tasktest.Env(b)); err != nil {
				b.Fatal(err)
			}
		}))
		plain = max(plain, stall(b, dsn, 2*time.Second, func() { do(b, dsn, "alter table wards add column more int") }))
	}
	b.ReportMetric(float64(ours.Milliseconds()), "stall-ms")
	b.ReportMetric(float64(plain.Milliseconds()), "plain-stall-ms")
}
