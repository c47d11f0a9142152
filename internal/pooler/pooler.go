// Package pooler tells whether a connection pooler stands between a program and its
// PostgreSQL server.
package pooler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	patience  = 3 * time.Second // for a second session, which a pool may not have
	looks     = 20              // each misses a busy pool now and then
	closeTime = time.Second
)

var (
	// ErrShared means that a connection has no session of its own.
	ErrShared = errors.New("a connection pooler in transaction mode stands between here and the server")

	// ErrNoSession means that a pooler keeps a second client waiting.
	ErrNoSession = errors.New("a connection pooler stands between here and the server, and gives no second session")
)

// Hint says what to do about both.
const Hint = "give the server's own address in the connection string, not the pooler's"

// Direct fails if conn goes through a pooler that hands out another session of
// the server for each transaction or statement: a session's lock, snapshot or
// setting would belong to whoever comes next. A pooler that keeps a session for a
// client as long as the client stays is let through.
//
// A pooler tells its clients a process number of its own making, which settles
// the common case with one query. Only where the numbers differ is another
// connection made, to see whether the two share a session.
func Direct(ctx context.Context, conn *pgx.Conn, another func(context.Context) (*pgx.Conn, error)) error {
	own, err := backend(ctx, conn)
	if err != nil || own == conn.PgConn().PID() {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, ErrNoSession)
	defer cancel()
	err = alone(limited, conn, own, another)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return ErrNoSession
	}
	return err
}

// alone fails if another client gets the session of conn, whose process is own,
// or conn another one. Right after a query a shared session is the next to be
// handed out, and in a pool that takes turns conn gets another: unless somebody
// else was faster, hence the repetition.
func alone(ctx context.Context, conn *pgx.Conn, own uint32, another func(context.Context) (*pgx.Conn, error)) error {
	other, err := another(ctx)
	if err != nil {
		return err
	}
	defer closeSoon(other)
	for range looks {
		again, err := backend(ctx, conn)
		if err != nil {
			return err
		}
		others, err := backendOf(ctx, other)
		if err != nil {
			return err
		}
		if again != own || others == own {
			return ErrShared
		}
	}
	return nil
}

func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = conn.Close(ctx)
}

// backendOf is backend in a transaction, as long as which its session is nobody else's.
func backendOf(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	_, err = conn.Exec(ctx, "begin")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "08P01" {
		return 0, ErrShared // PgBouncer's answer in statement mode
	}
	if err != nil {
		return 0, fmt.Errorf("look for a connection pooler: %w", err)
	}
	if pid, err = backend(ctx, conn); err != nil {
		return 0, err
	}
	_, err = conn.Exec(ctx, "rollback")
	return pid, err
}

// backend returns the number of the server's process that answers. The simple
// protocol passes through every pooler.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	if err != nil {
		return 0, fmt.Errorf("look for a connection pooler: %w", err)
	}
	return pid, nil
}
