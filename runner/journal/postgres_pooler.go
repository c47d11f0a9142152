package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// errPooled means that a connection has no session of its own.
var errPooled = errors.New("a connection pooler in transaction mode stands between here and the server, where a lock has no owner")

const poolerHint = "give the server's own address in the connection string, not the pooler's"

// direct fails if conn shares sessions of the server with other clients. A
// pooler has process numbers of its own, which settles the common case. Where
// the numbers differ, conn must keep its session, and another connection that
// is in a transaction must have another one.
func direct(ctx context.Context, conn *pgx.Conn) error {
	first, err := backend(ctx, conn)
	if err != nil || first == conn.PgConn().PID() {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, tryTimeout/3) // a pool without a session left keeps us waiting
	defer cancel()
	keeps, err := keepsSession(limited, conn, first)
	switch {
	case err != nil && ctx.Err() == nil:
		return &hintedError{fmt.Errorf("look for a connection pooler: %w", err), poolerHint}
	case err != nil:
		return err
	case !keeps:
		return &hintedError{errPooled, poolerHint}
	}
	return nil
}

// keepsSession tells whether conn stays with the server's process first, alone
// and beside another connection.
func keepsSession(ctx context.Context, conn *pgx.Conn, first uint32) (bool, error) {
	again, err := backend(ctx, conn)
	if err != nil || again != first {
		return false, err
	}
	other, err := connect(ctx, conn.Config())
	if err != nil {
		return false, err
	}
	defer closeSoon(other)
	if _, err := other.Exec(ctx, "begin"); err != nil {
		return false, err
	}
	theirs, err := backend(ctx, other)
	if err != nil || theirs == first {
		return false, err
	}
	again, err = backend(ctx, conn)
	return again == first, err
}

// backend returns the number of the server's process that answers. The simple
// protocol passes through every pooler.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}
