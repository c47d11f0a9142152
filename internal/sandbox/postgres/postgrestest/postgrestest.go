// Package postgrestest gives tests a real PostgreSQL: one throwaway cluster for
// the whole test binary, and a database of its own for each test that asks.
package postgrestest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
)

// shared is the binary's cluster. It is not stopped by a test, since the next
// one needs it: it ends with the process, as any cluster does.
var shared = sync.OnceValues(func() (*postgres.Cluster, error) {
	return postgres.Start(context.Background(), "")
})

// ForTest returns the cluster that this test binary shares. Do not stop it.
func ForTest(t testing.TB) *postgres.Cluster {
	t.Helper()
	cluster, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

var databases atomic.Int64

// Database makes an empty database for this test and returns its DSN, as the
// cluster's superuser. It is dropped when the test ends, with whoever is
// connected, unless the test has renamed or dropped it.
func Database(t testing.TB) redact.Secret {
	t.Helper()
	cluster := ForTest(t)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	run(t, cluster, "create database "+name)
	t.Cleanup(func() { run(t, cluster, "drop database if exists "+name+" with (force)") })
	return cluster.DSN(name)
}

func run(t testing.TB, cluster *postgres.Cluster, sql string) {
	t.Helper()
	ctx := context.Background() // the test's own has ended when it is cleaned up
	conn, err := pgx.Connect(ctx, cluster.DSN("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}
