package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Ready looks whether a database is fit for a cut-over: reachable without a
// pooler in between, a primary that takes writes, of a version that the client
// programs can dump, with connections to spare, and with the privileges that
// later steps need. It changes nothing.
type Ready struct {
	// DSN is the connection string of the application's database.
	DSN redact.Secret `with:"dsn,required"`

	// For lists what later steps will do with the database, so that missing
	// privileges are found now: backup, stage, swap, migrate.
	For []Purpose `with:"for"`

	// FreeConnections is how many connections the server must have to spare
	// under its limit. Default 5, about what these tasks open at once.
	FreeConnections int `with:"free_connections"`
}

// A ReadyReceipt tells what the server is like.
type ReadyReceipt struct {
	Database        string `json:"database"`         // name of the database
	ServerVersion   string `json:"server_version"`   // such as 15.18
	TLS             string `json:"tls"`              // version of TLS on our connection, "off" if it is not encrypted
	Bytes           int64  `json:"bytes"`            // size of the database on the server's disk
	Connections     int64  `json:"connections"`      // in use on the whole server, ours included
	ConnectionLimit int64  `json:"connection_limit"` // that a role that is no superuser may use
}

// Validate fails on a number of connections that makes no sense.
func (r *Ready) Validate() error {
	if r.FreeConnections < 0 {
		return errors.New("free_connections is negative")
	}
	return nil
}

// Check looks at the server, as Run does.
func (r *Ready) Check(ctx context.Context, env *task.Env) error {
	_, err := r.Run(ctx, env)
	return err
}

// Run looks at the server.
func (r *Ready) Run(ctx context.Context, _ *task.Env) (ReadyReceipt, error) {
	conn, err := pg.ConnectSystem(ctx, r.DSN, "")
	if err != nil {
		return ReadyReceipt{}, err
	}
	defer pg.Close(conn)
	receipt, err := describeServer(ctx, conn)
	if err != nil {
		return receipt, err
	}
	return receipt, r.judge(ctx, conn, receipt)
}

func (r *Ready) judge(ctx context.Context, conn *pgx.Conn, seen ReadyReceipt) error {
	if err := pg.Direct(ctx, conn); err != nil {
		return err
	}
	if _, err := serverMajor(ctx, conn); err != nil {
		return err
	}
	if slices.Contains(r.For, ForBackup) {
		if _, _, err := dumpTools(ctx, conn); err != nil {
			return err
		}
	}
	if err := writable(ctx, conn); err != nil {
		return err
	}
	if free := seen.ConnectionLimit - seen.Connections; free < int64(r.FreeConnections) {
		return task.Hint(
			fmt.Errorf("the server has %d of its %d connections free, and %d are needed", free, seen.ConnectionLimit, r.FreeConnections),
			"end idle sessions, or raise max_connections")
	}
	return permitted(ctx, conn, seen.Database, r.For...)
}

// writable fails on a standby and where transactions are read-only.
func writable(ctx context.Context, conn *pgx.Conn) error {
	var standby, readOnly bool
	err := conn.QueryRow(ctx, "select pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool").
		Scan(&standby, &readOnly)
	switch {
	case err != nil:
		return fmt.Errorf("ask the server whether it takes writes: %w", err)
	case standby:
		return task.Hint(errors.New("the server is a standby, which takes no writes"), "give the primary's address in the connection string")
	case readOnly:
		return task.Hint(errors.New("transactions are read-only by default"),
			"reset default_transaction_read_only of the role and of the database")
	}
	return nil
}

func describeServer(ctx context.Context, conn *pgx.Conn) (ReadyReceipt, error) {
	receipt := ReadyReceipt{TLS: tlsVersion(conn)}
	err := conn.QueryRow(ctx, `
		select current_database()::text, split_part(current_setting('server_version'), ' ', 1),
		       pg_database_size(current_database()),
		       (select coalesce(sum(numbackends), 0) from pg_stat_database),
		       current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
		         - coalesce(current_setting('reserved_connections', true), '0')::bigint`).
		Scan(&receipt.Database, &receipt.ServerVersion, &receipt.Bytes, &receipt.Connections, &receipt.ConnectionLimit)
	if err != nil {
		return receipt, fmt.Errorf("look at the server: %w", err)
	}
	return receipt, nil
}

// tlsVersion names the encryption of the connection itself. A proxy in between
// may have another one to the server.
func tlsVersion(conn *pgx.Conn) string {
	var raw net.Conn = conn.PgConn().Conn()
	if encrypted, ok := raw.(*tls.Conn); ok {
		return tls.VersionName(encrypted.ConnectionState().Version)
	}
	return "off"
}
