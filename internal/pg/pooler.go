package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/runner/task"
)

// Direct fails if conn goes through a pooler that hands out another session of
// the server for each transaction: a session's lock, snapshot or setting would
// belong to whoever comes next. A pooler that keeps a session for a client as
// long as the client stays is let through.
//
// A pooler tells its clients a process number of its own making, which settles
// the common case with one query. Only where the numbers differ is a second
// connection opened, to see whether the two share a session.
func Direct(ctx context.Context, conn *pgx.Conn) error {
	before, err := backend(ctx, conn)
	if err != nil {
		return err
	}
	if before == conn.PgConn().PID() {
		return nil
	}
	// A pool without a session left would keep us waiting.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	config := conn.Config()
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return connectError(ctx, config, err)
	}
	defer Close(other)
	if _, err := other.Exec(ctx, "begin"); err != nil {
		return fmt.Errorf("look for a pooler: %w", err)
	}
	meanwhile, err := backend(ctx, other)
	if err != nil {
		return err
	}
	if meanwhile == before {
		return errPooled()
	}
	after, err := backend(ctx, conn)
	if err != nil {
		return err
	}
	if after != before {
		return errPooled()
	}
	return nil
}

func errPooled() error {
	return task.Hint(errors.New("a connection pooler in transaction mode stands between here and the server"),
		"give the server's own address in the connection string, not the pooler's")
}

// backend returns the number of the server's process that answers. The simple
// protocol passes through every pooler.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "select pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	if err != nil {
		return 0, fmt.Errorf("look for a pooler: %w", err)
	}
	return pid, nil
}
