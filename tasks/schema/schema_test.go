package schema_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// TestMain makes this binary a phasegate that does one step and is killed
// meanwhile, when it is called by the name of the step.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "step-") {
		os.Exit(step(name, os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

// write makes a folder of migrations with its atlas.sum. Files are given as name
// and content by turns.
func write(t testing.TB, files ...string) task.Path {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash(t, dir)
	return task.Path(dir)
}

func hash(t testing.TB, dir string) {
	t.Helper()
	local, err := migrate.NewLocalDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := local.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.WriteSumFile(local, sum); err != nil {
		t.Fatal(err)
	}
}

// wards is a small history of three versions.
func wards(t testing.TB) task.Path {
	t.Helper()
	return write(t,
		"1_wards.sql", "create table wards (id int primary key, name text not null);\n",
		"2_beds.sql", "create table beds (id int primary key, ward int not null references wards);\ncreate index on beds (ward);\n",
		"3_floor.sql", "alter table wards add column floor int;\n",
	)
}

func applySpec() task.Spec {
	return task.Of("schema/apply", &schema.Apply{LockTimeout: 100 * time.Millisecond, LockTries: 150, StatementTimeout: 15 * time.Minute})
}

func apply(dsn redact.Secret, dir task.Path) *schema.Apply {
	a := applySpec().New().Config().(*schema.Apply)
	a.DSN, a.Dir = dsn, dir
	return a
}

func mustApply(t testing.TB, a *schema.Apply) schema.Applied {
	t.Helper()
	receipt, err := a.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func status(t testing.TB, dsn redact.Secret, dir task.Path, baseline string) schema.Standing {
	t.Helper()
	standing, err := (&schema.Status{DSN: dsn, Dir: dir, Baseline: baseline}).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return standing
}

func connect(t testing.TB, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func do(t testing.TB, dsn redact.Secret, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query[T any](t testing.TB, dsn redact.Secret, sql string, args ...any) (value T) {
	t.Helper()
	conn := connect(t, dsn)
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func hasTable(t testing.TB, dsn redact.Secret, name string) bool {
	return query[bool](t, dsn, "select to_regclass($1) is not null", name)
}

// fails holds that err has all the parts, and a hint.
func fails(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error: %v\nlacks: %s", err, part)
		}
	}
	if task.HintOf(err) == "" {
		t.Errorf("error without a hint: %v", err)
	}
}

func isSkip(err error) bool {
	_, ok := errors.AsType[*task.SkipError](err)
	return ok
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
