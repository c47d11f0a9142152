package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errPooled means that a connection has no session of its own.
var errPooled = errors.New("a connection pooler in transaction mode stands between here and the server, where a lock has no owner")

// errNoSession means that a pooler keeps a second client waiting.
var errNoSession = errors.New("a connection pooler stands between here and the server, and gives no second session")

const poolerHint = "give the server's own address in the connection string, not the pooler's"

const (
	poolerPatience = 3 * time.Second // for a second session, which a pool may not have
	poolerLooks    = 20              // each of which misses a pool at work now and then
)

// direct fails if conn shares sessions of the server with other clients. A
// pooler has process numbers of its own, which settles the common case. Where
// the numbers differ, conn must keep its session, and another connection must
// have another one.
func direct(ctx context.Context, conn *pgx.Conn) error {
	own, err := backend(ctx, conn)
	if err != nil || own == conn.PgConn().PID() {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, poolerPatience, errNoSession)
	defer cancel()
	err = alone(limited, conn, own)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case limited.Err() != nil:
		err = errNoSession
	case !errors.Is(err, errPooled):
		err = fmt.Errorf("look for a connection pooler: %w", err)
	}
	return &hintedError{err, poolerHint}
}

// alone fails if another client gets the session of conn, whose process is own,
// or conn another one. Right after a query a shared session is the next to be
// handed out, and in a pool that takes turns conn gets another: unless somebody
// else was faster, hence the repetition.
func alone(ctx context.Context, conn *pgx.Conn, own uint32) error {
	other, err := connect(ctx, conn.Config())
	if err != nil {
		return err
	}
	defer closeSoon(other)
	for range poolerLooks {
		again, err := backend(ctx, conn)
		if err != nil {
			return err
		}
		theirs, err := backendOf(ctx, other)
		if err != nil {
			return err
		}
		if again != own || theirs == own {
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
		return 0, err
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
	return pid, err
}
