package pg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A Snapshot is one moment of a database that several sessions can look at, and
// pg_dump too. It lasts until Close; it keeps the server from removing dead rows
// for as long.
type Snapshot struct {
	ID      string    // as pg_dump --snapshot takes it
	Visible string    // pg_current_snapshot() of that moment: xmin:xmax:xip_list
	Taken   time.Time // by the server's clock

	dsn      redact.Secret
	database string // "" is the one that dsn names
	lockWait time.Duration
	conn     *pgx.Conn // if it were closed, the snapshot would end
}

// OpenSnapshot takes a snapshot of the database that dsn names. Its sessions
// wait for lockWait, or a minute if it is 0, for a table that a schema change
// holds.
func OpenSnapshot(ctx context.Context, dsn redact.Secret, lockWait time.Duration) (*Snapshot, error) {
	return OpenSnapshotOf(ctx, dsn, "", lockWait)
}

// OpenSnapshotOf is OpenSnapshot of another database on the same server; "" is
// the one that dsn names.
func OpenSnapshotOf(ctx context.Context, dsn redact.Secret, database string, lockWait time.Duration) (*Snapshot, error) {
	conn, err := ConnectSystem(ctx, dsn, database)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{dsn: dsn, database: database, lockWait: lockWait, conn: conn}
	return s, s.take(ctx)
}

// SnapshotOn is OpenSnapshot on a connection to the database that is there already
// and in no transaction. The snapshot takes it over.
func SnapshotOn(ctx context.Context, conn *pgx.Conn, dsn redact.Secret, lockWait time.Duration) (*Snapshot, error) {
	s := &Snapshot{dsn: dsn, lockWait: lockWait, conn: conn}
	return s, s.take(ctx)
}

// take exports the snapshot. If it fails, the connection is closed.
func (s *Snapshot) take(ctx context.Context) error {
	if s.lockWait == 0 {
		s.lockWait = patience
	}
	if err := beginRead(ctx, s.conn, "", s.lockWait); err != nil {
		s.Close()
		return err
	}
	err := s.conn.QueryRow(ctx, `select pg_export_snapshot(), pg_current_snapshot()::text, now()`).
		Scan(&s.ID, &s.Visible, &s.Taken)
	if err != nil {
		s.Close()
		return fmt.Errorf("export a snapshot: %w", err)
	}
	return nil
}

// Conn returns the connection that holds the snapshot, in its transaction.
func (s *Snapshot) Conn() *pgx.Conn { return s.conn }

// Close ends the snapshot.
func (s *Snapshot) Close() { Close(s.conn) }

// Read calls read, which is [Sum] or [Count], for each of the tables, in up to
// jobs sessions of its own that see the snapshot, the biggest table first.
func (s *Snapshot) Read(ctx context.Context, tables []Table, jobs int, read func(context.Context, *pgx.Conn, *Table) error) error {
	if len(tables) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *Table, len(tables))
	for _, t := range biggestFirst(tables) {
		work <- t
	}
	close(work)
	errs := make([]error, min(max(1, jobs), len(tables)))
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			if errs[i] = s.readAll(ctx, work, read); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		// The first failure ended the others: theirs say nothing.
		return context.Cause(ctx)
	}
	return nil
}

// A Look is a session that sees a snapshot from time to time.
type Look struct {
	snapshot *Snapshot
	conn     *pgx.Conn
}

// Look opens one. It is to be closed.
func (s *Snapshot) Look(ctx context.Context) (*Look, error) {
	conn, err := ConnectSystem(ctx, s.dsn, s.database)
	if err != nil {
		return nil, err
	}
	return &Look{s, conn}, nil
}

// At calls read, and holds no lock afterwards: what the snapshot's own session reads
// stays locked, and a program that sees the snapshot too may want it next, behind a
// schema change that waits for ours. The server knows no circle where one waits for
// the other outside of it.
func (l *Look) At(ctx context.Context, read func(*pgx.Conn) error) error {
	if err := beginRead(ctx, l.conn, l.snapshot.ID, l.snapshot.lockWait); err != nil {
		return err
	}
	defer endRead(ctx, l.conn)
	return read(l.conn)
}

// Close ends the session, not the snapshot.
func (l *Look) Close() { Close(l.conn) }

func (s *Snapshot) readAll(ctx context.Context, work <-chan *Table, read func(context.Context, *pgx.Conn, *Table) error) error {
	conn, err := ConnectSystem(ctx, s.dsn, s.database)
	if err != nil {
		return err
	}
	defer Close(conn)
	if err := beginRead(ctx, conn, s.ID, s.lockWait); err != nil {
		return err
	}
	// The sessions are enough: more processes would only take the server's time.
	if _, err := conn.Exec(ctx, "set local max_parallel_workers_per_gather to 0"); err != nil {
		return fmt.Errorf("begin to read the tables: %w", err)
	}
	for t := range work {
		if err := read(ctx, conn, t); err != nil {
			return err
		}
	}
	return nil
}

func biggestFirst(tables []Table) []*Table {
	order := make([]*Table, len(tables))
	for i := range tables {
		order[i] = &tables[i]
	}
	slices.SortStableFunc(order, func(a, b *Table) int { return int(b.Bytes>>10) - int(a.Bytes>>10) })
	return order
}
