package postgrestest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
)

func TestEachDatabaseIsEmptyAndGoneAfterItsTest(t *testing.T) {
	var name string
	for range 2 {
		t.Run("one", func(t *testing.T) {
			conn, err := pgx.Connect(t.Context(), Database(t).Reveal())
			if err != nil {
				t.Fatal(err)
			}
			// It is left open: a test that forgets a connection is cleaned up all the same.
			if err := conn.QueryRow(t.Context(), "select current_database()").Scan(&name); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(t.Context(), "create table here_before ()"); err != nil {
				t.Fatal(err)
			}
		})
	}
	if _, err := pgx.Connect(t.Context(), ForTest(t).DSN(name).Reveal()); err == nil {
		t.Errorf("database %s outlived its test", name)
	}
}

const panicVariable = "PHASEGATE_TEST_PANIC"

func TestPanic(t *testing.T) {
	if os.Getenv(panicVariable) == "" {
		t.Skip("run by TestABinaryThatPanicsLeavesNothing")
	}
	Database(t)
	panic("as a test may")
}

func TestABinaryThatPanicsLeavesNothing(t *testing.T) {
	base, err := os.MkdirTemp("", "pg-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}
	out, err := command.Command{
		Argv: []string{os.Args[0], "-test.run=^TestPanic$"}, Env: []string{panicVariable + "=yes", "TMPDIR=" + base},
	}.Output(t.Context())
	if err == nil || !strings.Contains(out+err.Error(), "as a test may") {
		t.Fatalf("it did not panic: %v, %s", err, out)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left, _ := filepath.Glob(filepath.Join(base, "phasegate-pg-*"))
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", left)
		}
	}
}
