package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/runner/task"
)

const (
	poolerPatience = 3 * time.Second // for a second session, which a pool may not have
	poolerLooks    = 20              // each misses a busy pool now and then
)

// Direct fails if conn goes through a pooler that hands out another session of
// the server for each transaction or statement: a session's lock, snapshot or
// setting would belong to whoever comes next. A pooler that keeps a session for a
// client as long as the client stays is let through.
//
// A pooler tells its clients a process number of its own making, which settles
// the common case with one query. Only where the numbers differ is a second
// connection opened, to see whether the two share a session.
func Direct(ctx context.Context, conn *pgx.Conn) error {
	own, err := backend(ctx, conn)
	if err != nil || own == conn.PgConn().PID() {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, poolerPatience, errNoSession)
	defer cancel()
	err = alone(ctx, conn, own)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("look for a pooler: %w", context.Cause(ctx))
	}
	return err
}

// alone fails if another client gets the session of conn, whose process is own,
// or conn another one. Right after a query a shared session is the next to be
// handed out, and in a pool that takes turns conn gets another: unless somebody
// else was faster, hence the repetition.
func alone(ctx context.Context, conn *pgx.Conn, own uint32) error {
	config := conn.Config()
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return connectError(ctx, config, err)
	}
	defer Close(other)
	for range poolerLooks {
		again, err := backend(ctx, conn)
		if err != nil {
			return err
		}
		others, err := backendOf(ctx, other)
		if err != nil {
			return err
		}
		if again != own || others == own {
			return errPooled
		}
	}
	return nil
}

// backendOf is backend in a transaction, as long as which its session is nobody else's.
func backendOf(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	_, err = conn.Exec(ctx, "begin")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "08P01" {
		return 0, errPooled // PgBouncer's answer in statement mode
	}
	if err != nil {
		return 0, fmt.Errorf("look for a pooler: %w", err)
	}
	if pid, err = backend(ctx, conn); err != nil {
		return 0, err
	}
	_, err = conn.Exec(ctx, "rollback")
	return pid, err
}

var (
	errPooled = task.Hint(errors.New("a connection pooler in transaction mode stands between here and the server"),
		"give the server's own address in the connection string, not the pooler's")
	errNoSession = task.Hint(errors.New("a connection pooler stands between here and the server, and gives no second session"),
		"give the server's own address in the connection string, not the pooler's")
)

// backend returns the number of the server's process that answers. The simple
// protocol passes through every pooler.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	if err != nil {
		return 0, fmt.Errorf("look for a pooler: %w", err)
	}
	return pid, nil
}
