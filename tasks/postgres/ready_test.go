package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func ready(dsn redact.Secret, purposes ...postgres.Purpose) *postgres.Ready {
	r := readySpec.New().Config().(*postgres.Ready)
	r.DSN, r.For = dsn, purposes
	return r
}

var allPurposes = []postgres.Purpose{postgres.ForBackup, postgres.ForStage, postgres.ForSwap, postgres.ForMigrate}

func TestReadyKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	tasktest.Conform(t, tasktest.Case{
		Spec:      readySpec,
		Configure: func(config any) { *config.(*postgres.Ready) = *ready(dsn, allPurposes...) },
		Secrets:   []string{password(t, dsn)},
	})
}

func TestReadyTellsWhatTheServerIsLike(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	receipt, err := ready(dsn, allPurposes...).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Database != name(t, dsn) || receipt.ServerVersion != value[string](t, dsn, "select split_part(current_setting('server_version'), ' ', 1)") ||
		receipt.TLS != "off" || receipt.Bytes < 1e6 || receipt.Connections < 1 || receipt.ConnectionLimit < receipt.Connections {
		t.Errorf("receipt = %+v", receipt)
	}
}

func TestReadyNamesEveryPrivilegeThatLaterStepsLack(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward+"; revoke create on schema public from public")
	nobody := role(t, dsn, "")
	app := connect(t, dsn)
	defer app.Close(t.Context())
	cases := map[postgres.Purpose][2]string{
		postgres.ForBackup: {"may not read 17 tables and sequences", "GRANT pg_read_all_data TO"},
		postgres.ForStage:  {"may not create or rename a database", "CREATEDB"},
		postgres.ForSwap:   {"may not end 1 sessions of other roles, among them postgres", "GRANT pg_signal_backend TO"},
		postgres.ForMigrate: {
			fmt.Sprintf("role %s does not own 15 tables, among them other.users; role %[1]s may not create tables in the schema public", nobody.role),
			"REASSIGN OWNED BY",
		},
	}
	for purpose, want := range cases {
		_, err := ready(nobody.dsn, purpose).Run(t.Context(), tasktest.Env(t))
		wantError(t, err, want[0], want[1])
	}
	if _, err := ready(nobody.dsn).Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("for nothing: %v", err)
	}
	if _, err := ready(dsn, allPurposes...).Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("as a superuser: %v", err)
	}
	var purpose postgres.Purpose
	wantError(t, purpose.UnmarshalText([]byte("restore")), "write backup, stage, swap or migrate", "")
}

func TestReadyRefusesAServerThatIsFull(t *testing.T) {
	t.Parallel()
	r := ready(database(t, ""))
	r.FreeConnections = 1000
	_, err := r.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "connections free, and 1000 are needed", "max_connections")
	r.FreeConnections = -1
	wantError(t, r.Validate(), "free_connections is negative", "")
}

func TestReadyRefusesADatabaseThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	execute(t, dsn, "alter database "+name(t, dsn)+" set default_transaction_read_only to on")
	_, err := ready(dsn).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "read-only by default", "default_transaction_read_only")
}

// TestReadyRefusesAnOlderPgDump puts a pg_dump of another version in PG_BIN.
// It changes the environment, and so runs before the parallel tests.
func TestReadyRefusesAPgDumpThatIsOlderThanTheServer(t *testing.T) {
	dsn := database(t, "")
	bin := t.TempDir()
	for _, program := range []string{"pg_dump", "pg_restore"} {
		script := "#!/bin/sh\necho '" + program + " (PostgreSQL) 12.4 (Debian 12.4-1)'\n"
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PG_BIN", bin)
	_, err := ready(dsn, postgres.ForBackup).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "is of version 12.4 and cannot handle a server of version", "install PostgreSQL's client programs")
	if _, err := ready(dsn, postgres.ForMigrate).Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("where nothing is dumped: %v", err)
	}
}
