// Package pg is what every task that works on PostgreSQL needs: a direct
// connection with errors that a person can act on, the environment for libpq's
// programs, a lock that outlives no process, and the content of every table as a
// number that can be compared.
package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// application is how our sessions are told from others in pg_stat_activity.
const application = "phasegate"

// Maintenance is the database from which others are created, renamed and locked.
const Maintenance = "postgres"

// Parse reads a connection string, a URL or keywords and values. Its error
// never holds the string.
func Parse(dsn redact.Secret) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn.Reveal())
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, task.Hint(fmt.Errorf("the connection string names a file that cannot be read: %w", file),
			"check sslrootcert, sslcert and sslkey in it")
	}
	if err != nil {
		return nil, task.Hint(errors.New("the connection string cannot be read"),
			"write it as postgres://user:password@host:5432/database")
	}
	config.RuntimeParams["application_name"] = application
	// The driver's simple protocol needs both, whatever is set for the role or the database.
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["standard_conforming_strings"] = "on"
	return config, nil
}

// Connect opens one connection. What the server or the network said is in the
// error, with a hint, without the password.
func Connect(ctx context.Context, dsn redact.Secret) (*pgx.Conn, error) {
	return ConnectTo(ctx, dsn, "")
}

// ConnectTo is Connect to another database on the same server; "" is the one
// that dsn names.
func ConnectTo(ctx context.Context, dsn redact.Secret, database string) (*pgx.Conn, error) {
	config, err := Parse(dsn)
	if err != nil {
		return nil, err
	}
	if database != "" {
		config.Database = database
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectError(ctx, config, err)
	}
	return conn, nil
}

// ConnectSystem is ConnectTo for statements of our own. Names without a schema are
// the system's: whoever may create functions in a schema of the role's search_path
// could have his own called in place of the server's, with the role's privileges
// (CVE-2018-1058).
func ConnectSystem(ctx context.Context, dsn redact.Secret, database string) (*pgx.Conn, error) {
	conn, err := ConnectTo(ctx, dsn, database)
	if err != nil {
		return nil, err
	}
	if err := conn.PgConn().Exec(ctx, "select pg_catalog.set_config('search_path', '', false)").Close(); err != nil {
		Close(conn)
		return nil, fmt.Errorf("begin a session in database %s: %w", conn.Config().Database, err)
	}
	return conn, nil
}

func connectError(ctx context.Context, config *pgx.ConnConfig, err error) error {
	where := fmt.Sprintf("connect to database %s at %s as %s",
		config.Database, net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), config.User)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", where, context.Cause(ctx))
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return task.Hint(fmt.Errorf("%s: %s (SQLSTATE %s)", where, server.Message, server.Code), connectHint(server.Code))
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return task.Hint(fmt.Errorf("%s: host not found", where), "check the host name in the connection string")
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return task.Hint(fmt.Errorf("%s: %w", where, network.Err),
			"check that the server runs, and that the host, the port and the firewall let this machine in")
	}
	// The driver's own text may quote the connection string: only its cause is safe.
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return task.Hint(fmt.Errorf("%s: %w", where, err), "check the connection string, and sslmode if the server refused TLS")
}

func connectHint(code string) string {
	switch code {
	case "28P01", "28000":
		return "check the user and the password in the connection string, and the server's pg_hba.conf"
	case "3D000":
		return "check the database name at the end of the connection string"
	case "53300":
		return "the server has no connection left: end idle ones or raise max_connections"
	case "57P03":
		return "the server is starting or stopping: wait, then try again"
	case "55000":
		return "the database is closed to connections: an interrupted swap closes it, phasegate rollback opens it again"
	}
	return "look this SQLSTATE up in PostgreSQL's list of error codes"
}
