package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A hintedError is one that the user can mend. The runner finds the hint by the
// method's name.
type hintedError struct {
	error
	hint string // a sentence in the imperative, without a final period
}

func (e *hintedError) Unwrap() error { return e.error }

// Advice returns the hint.
func (e *hintedError) Advice() string { return e.hint }

// parseDSN reads a connection string. Its error never holds the string.
func parseDSN(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &hintedError{
			fmt.Errorf("the journal's connection string names a file that cannot be read: %w", file),
			"check sslrootcert, sslcert and sslkey in it",
		}
	}
	if err != nil {
		return nil, &hintedError{
			errors.New("the journal's connection string cannot be read"),
			"write it as postgres://user:password@host:5432/database",
		}
	}
	config.RuntimeParams["application_name"] = "phasegate journal"
	return config, nil
}

// primaryOnly passes over the standbys among the hosts of a connection string.
func primaryOnly(ctx context.Context, conn *pgconn.PgConn) error {
	return pgconn.ValidateConnectTargetSessionAttrsPrimary(ctx, conn)
}

// connect opens a connection. Its error says where to and what went wrong there.
func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		return conn, nil
	}
	hint := "check the connection string, that the server runs, and that it lets this machine in"
	if errors.Is(err, pgconn.ErrStandbyConnection) {
		hint = "name the primary server, or all of the cluster's with commas between them"
	}
	return nil, &hintedError{fmt.Errorf("connect to database %s at %s as %s: %w",
		config.Database, address(config), config.User, cause(ctx, err)), hint}
}

// cause takes out of a driver's error what it says beside the cause: where to,
// once more, and how, for which it may quote the connection string.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Err
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

func address(config *pgx.ConnConfig) string {
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
}

// sessionSettings are those without which a session could not be relied on,
// whatever the role or the database have set. No limit ends it while it holds
// something. The server notices within half a minute that this machine is gone:
// keep-alives do it, by default only after two hours. A commit is on disk when
// it is answered. Versions and systems know different settings, so the server is
// asked for its own.
// https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-TCP-KEEPALIVES
const sessionSettings = `
	select set_config(name, wanted.value, false)
	  from pg_settings join (values
	         ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
	         ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
	         ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'),
	         ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4'),
	         ('tcp_user_timeout', '30000'), ('synchronous_commit', 'on')
	       ) as wanted (name, value) using (name)
	 where name <> 'synchronous_commit' or setting = 'off'`

// connectSession opens a connection that can hold locks.
func connectSession(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := connect(ctx, config)
	if err != nil {
		return nil, err
	}
	err = direct(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, sessionSettings)
	}
	if err != nil {
		closeSoon(conn)
		return nil, err
	}
	return conn, nil
}

const closeTimeout = 5 * time.Second

// closeSoon closes a connection also after its context has ended.
func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}
