package pg

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Endless are the statements that turn the time limits off that a role or a database
// may have set for its application's sessions: they would end a session that holds a
// lock or a snapshot. Each begins with verb, which is "set" or "set local". Versions
// know different limits.
func Endless(conn *pgx.Conn, verb string) string {
	limits := []string{"statement_timeout", "idle_in_transaction_session_timeout"}
	var major int // of a version such as 17.2 or 18beta1
	if _, err := fmt.Sscanf(conn.PgConn().ParameterStatus("server_version"), "%d", &major); err != nil {
		major = 0
	}
	if major >= 14 {
		limits = append(limits, "idle_session_timeout")
	}
	if major >= 17 {
		limits = append(limits, "transaction_timeout")
	}
	return verb + " " + strings.Join(limits, " to 0; "+verb+" ") + " to 0"
}

// textual makes COPY print values as pg_dump has them printed, whatever the
// database's or the role's own settings are. Row level security is off so that
// reading fails where it would hide rows.
const textual = `
	set local timezone to 'UTC';
	set local datestyle to 'ISO';
	set local intervalstyle to 'postgres';
	set local extra_float_digits to 3;
	set local bytea_output to 'hex';
	set local search_path to '';
	set local quote_all_identifiers to off;
	set local row_security to off;
	set local synchronize_seqscans to off`

// patience is how long a reading session waits for a table that a schema change
// holds, where nothing else is said.
const patience = time.Minute

// beginRead opens a read-only transaction in which tables are read as a dump
// would read them, in the exported snapshot if there is one, and waits for a locked table so long.
func beginRead(ctx context.Context, conn *pgx.Conn, snapshot string, lockWait time.Duration) error {
	statements := []string{"begin isolation level repeatable read read only"}
	if snapshot != "" {
		statements = append(statements, "set transaction snapshot '"+strings.ReplaceAll(snapshot, "'", "''")+"'")
	}
	statements = append(statements, textual, LockTimeout(lockWait), Endless(conn, "set local"),
		"set local client_encoding to "+ClientEncoding(conn.PgConn().ParameterStatus("server_encoding")))
	if _, err := conn.Exec(ctx, strings.Join(statements, ";\n")); err != nil {
		endRead(ctx, conn)
		return fmt.Errorf("begin to read the database: %w", err)
	}
	return nil
}

// LockTimeout is the statement that bounds how long the transaction waits for a
// lock.
func LockTimeout(wait time.Duration) string {
	return fmt.Sprintf("set local lock_timeout to %d", max(1, wait.Milliseconds()))
}

// ClientEncoding returns the encoding in which the text of a database is read
// and dumped: UTF8, into which every server encoding can be converted, but for
// SQL_ASCII, whose bytes mean nothing to the server and have to stay as they are.
func ClientEncoding(server string) string {
	if server == "SQL_ASCII" {
		return server
	}
	return "UTF8"
}

func endRead(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, "rollback")
}

// Close ends a connection, also where the context has ended before.
func Close(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// BeginRead opens a read-only transaction in which values print as in a dump. It
// sees one moment, and waits for a locked table for lockWait at most.
func BeginRead(ctx context.Context, conn *pgx.Conn, lockWait time.Duration) error {
	return beginRead(ctx, conn, "", lockWait)
}

// PrintAsDump makes the transaction that conn is in print values as in a dump.
func PrintAsDump(ctx context.Context, conn *pgx.Conn) error {
	encoding := ClientEncoding(conn.PgConn().ParameterStatus("server_encoding"))
	if _, err := conn.Exec(ctx, textual+"; set local client_encoding to "+encoding); err != nil {
		return fmt.Errorf("begin to read the database: %w", err)
	}
	return nil
}
