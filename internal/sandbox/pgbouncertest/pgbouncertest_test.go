package pgbouncertest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/pgbouncertest"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// Two clients of a transaction pool with one session have the same one, those of
// a session pool have each their own.
func TestSessionsAreSharedInTransactionModeOnly(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	for mode, shared := range map[pgbouncertest.Mode]bool{pgbouncertest.Transaction: true, pgbouncertest.Session: false} {
		through := pgbouncertest.Through(t, dsn, mode)
		first, second := session(t, through), session(t, through)
		if (pid(t, first) == pid(t, second)) != shared {
			t.Errorf("%s: shared is not %v", mode, shared)
		}
	}
}

func session(t *testing.T, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

// pid is the server's process behind the session, and the database is the test's.
func pid(t *testing.T, conn *pgx.Conn) (pid uint32) {
	t.Helper()
	var database string
	err := conn.QueryRow(t.Context(), "select pg_backend_pid(), current_database()", pgx.QueryExecModeSimpleProtocol).Scan(&pid, &database)
	if err != nil {
		t.Fatal(err)
	}
	if database != conn.Config().Database {
		t.Errorf("database %s, not %s", database, conn.Config().Database)
	}
	return pid
}
