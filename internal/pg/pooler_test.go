package pg_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/pgbouncertest"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestPoolerThatSharesSessionsIsRefused(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	for _, mode := range []pgbouncertest.Mode{pgbouncertest.Transaction, pgbouncertest.Statement} {
		_, err := pg.Acquire(t.Context(), pgbouncertest.Through(t, dsn, mode))
		if err == nil || !strings.Contains(err.Error(), "connection pooler in transaction mode") {
			t.Errorf("%s: %v", mode, err)
		}
		if !strings.Contains(task.HintOf(err), "server's own address") {
			t.Errorf("%s: hint %q", mode, task.HintOf(err))
		}
	}
}

// With one session for all, the second client would wait for the first for ever.
func TestSmallestPoolIsRefusedToo(t *testing.T) {
	t.Parallel()
	through := pgbouncertest.Through(t, postgrestest.Database(t), pgbouncertest.Transaction, "default_pool_size = 1")
	if _, err := pg.Acquire(t.Context(), through); err == nil || !strings.Contains(err.Error(), "connection pooler") {
		t.Errorf("through a pool of one: %v", err)
	}
}

func TestPoolerInSessionModeIsLetThrough(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgbouncertest.Through(t, postgrestest.Database(t), pgbouncertest.Session))
	if err := pg.Direct(t.Context(), conn); err != nil {
		t.Errorf("through a session pooler: %v", err)
	}
}

func TestDirectConnectionIsKnown(t *testing.T) {
	t.Parallel()
	if err := pg.Direct(t.Context(), connect(t, postgrestest.Database(t))); err != nil {
		t.Error(err)
	}
}

// What one look misses in a pool at work, the next ones find.
func TestBusyPoolIsRefused(t *testing.T) {
	t.Parallel()
	for _, turns := range []string{"server_round_robin = 0", "server_round_robin = 1"} {
		through := pgbouncertest.Through(t, postgrestest.Database(t), pgbouncertest.Transaction, "default_pool_size = 10", turns)
		ctx, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for range 8 {
			conn := connect(t, through)
			clients.Go(func() {
				for ctx.Err() == nil {
					_, _ = conn.Exec(ctx, "select 1", pgx.QueryExecModeSimpleProtocol)
				}
			})
		}
		for range 20 {
			conn := connect(t, through)
			if err := pg.Direct(t.Context(), conn); err == nil || !strings.Contains(err.Error(), "connection pooler") {
				t.Errorf("%s: %v", turns, err)
			}
			pg.Close(conn)
		}
		stop()
		clients.Wait()
	}
}

func TestSessionPoolWithoutASecondSessionSaysSo(t *testing.T) {
	t.Parallel()
	through := pgbouncertest.Through(t, postgrestest.Database(t), pgbouncertest.Session, "default_pool_size = 1")
	conn := connect(t, through)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := pg.Direct(ctx, conn)
	if err == nil || !strings.Contains(err.Error(), "gives no second session") || !strings.Contains(task.HintOf(err), "server's own address") {
		t.Errorf("through a session pool of one: %v (%s)", err, task.HintOf(err))
	}
}
