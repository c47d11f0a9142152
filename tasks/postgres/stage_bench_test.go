package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// BenchmarkStage times the copy that a rollback goes back to, compared row count by
// row count, and beside it the bare statement that makes one.
func BenchmarkStage(b *testing.B) {
	dsn := database(b, large)
	maintenance := postgrestest.ForTest(b).DSN(pg.Maintenance)
	var staging, bare []time.Duration
	var bytes int64
	for i := 0; b.Loop(); i++ {
		started := time.Now()
		execute(b, maintenance, "create database bare template "+quoted(name(b, dsn))+" strategy file_copy")
		bare = append(bare, time.Since(started))
		execute(b, maintenance, "drop database bare")
		s := stage(dsn)
		s.RunID = fmt.Sprint(i)
		receipt, err := s.Run(b.Context(), tasktest.Env(b))
		if err != nil {
			b.Fatal(err)
		}
		staging, bytes = append(staging, time.Duration(receipt.TookMS)*time.Millisecond), receipt.Bytes
		execute(b, maintenance, "drop database "+quoted(receipt.Database))
	}
	b.ReportMetric(median(staging).Seconds(), "stage-s")
	b.ReportMetric(median(bare).Seconds(), "bare-s")
	b.ReportMetric(ratio(staging, bare), "stage/bare")
	b.ReportMetric(float64(bytes)/1e6, "MB")
	b.ReportMetric(0, "ns/op")
}
