package journal

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pooler"
	"github.com/medlogistics/phasegate/internal/sandbox/pgbouncertest"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

// A lock that is taken through a pooler which hands a session on belongs to
// whoever comes next: it is said clearly, and nothing is written.
func TestPoolerThatSharesSessionsIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgbouncertest.Mode{pgbouncertest.Transaction, pgbouncertest.Statement} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			_, err := OpenPostgres(t.Context(), pgbouncertest.Through(t, dsn, mode).Reveal())
			if !errors.Is(err, pooler.ErrShared) || !strings.Contains(task.HintOf(err), "server's own address") {
				t.Errorf("%v (%s)", err, task.HintOf(err))
			}
			if query[bool](t, dsn.Reveal(), `select exists (select from pg_namespace where nspname = 'phasegate')`) {
				t.Error("the schema was made")
			}
		})
	}
}

// With one session for all, the second client would wait for the first for ever.
func TestPoolOfOneSessionIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgbouncertest.Mode{pgbouncertest.Transaction, pgbouncertest.Session} {
		through := pgbouncertest.Through(t, postgrestest.Database(t), mode, "default_pool_size = 1")
		if _, err := OpenPostgres(t.Context(), through.Reveal()); err == nil || !strings.Contains(task.HintOf(err), "server's own address") {
			t.Errorf("%s: %v (%s)", mode, err, task.HintOf(err))
		}
	}
}

// In a pool at work, one look at the sessions may well find what a direct
// connection shows.
func TestPoolerAtWorkIsRefused(t *testing.T) {
	t.Parallel()
	through := pgbouncertest.Through(t, postgrestest.Database(t), pgbouncertest.Transaction, "default_pool_size = 8").Reveal()
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 6 {
		conn := dial(t, through)
		others.Go(func() {
			defer conn.Close(context.Background())
			for ctx.Err() == nil {
				_, _ = conn.Exec(ctx, "select 1", pgx.QueryExecModeSimpleProtocol)
			}
		})
	}
	defer others.Wait()
	defer cancel()
	for range 10 {
		if _, err := OpenPostgres(t.Context(), through); !errors.Is(err, pooler.ErrShared) {
			t.Errorf("%v", err)
		}
	}
}

// Through a pooler that keeps a session for each client, what holds directly
// holds too: one writer, and none that lost its session while another took over.
func TestPoolerInSessionModeKeepsTheFence(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	through := pgbouncertest.Through(t, dsn, pgbouncertest.Session).Reveal()
	first, second := openStore(t, through), openStore(t, through)
	first.beat = time.Hour // it does not notice by itself
	w := create(t, first, testRun)
	mustAppend(t, w, someEvents()...)
	if _, _, err := second.Open(t.Context(), testRun); !errors.Is(err, ErrHeld) {
		t.Fatalf("a second one got %v, want ErrHeld", err)
	}
	terminate(t, dsn.Reveal())
	taken, events := mustOpen(t, second, testRun)
	if len(events) != len(someEvents()) {
		t.Errorf("it found %d events", len(events))
	}
	if _, err := w.Append(t.Context(), someEvents()...); !errors.Is(err, ErrTakenOver) {
		t.Errorf("the first one's append ended with %v, want ErrTakenOver", err)
	}
	mustAppend(t, taken, someEvents()...)
}
