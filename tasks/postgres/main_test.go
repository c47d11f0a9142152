package postgres_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// The prototypes are what the list of tasks registers.
var (
	backupSpec = task.Look("postgres/backup", &postgres.Backup{
		Level: postgres.Full, KeepDays: 30, Reserve: 1e9, LockWait: time.Minute, CopyRegion: "us-east-1",
	})
	stageSpec   = task.Of("postgres/stage", &postgres.Stage{Method: postgres.Auto, Wait: 30 * time.Second})
	swapSpec    = task.Of("postgres/swap", &postgres.Swap{Timeout: 10 * time.Second})
	tidySpec    = task.Of("postgres/tidy", &postgres.Tidy{}, task.Retryable)
	salvageSpec = task.Look("postgres/salvage", &postgres.Salvage{LockWait: time.Minute})
	restoreSpec = task.Of("postgres/restore", &postgres.RestoreInPlace{LockWait: 30 * time.Second})
	replaySpec  = task.Of("postgres/replay", &postgres.Replay{Batch: 500, LockWait: 10 * time.Second})
	readySpec   = task.Look("postgres/ready", &postgres.Ready{FreeConnections: 5})
	assertSpec  = task.Look("postgres/assert", &postgres.Assert{Rows: -1, Timeout: time.Minute})
)

// childMode makes the test binary the process that a test kills: its value is
// the name of one of the children.
const childMode = "PHASEGATE_TEST_CHILD"

var children = map[string]func(){
	"backup":         backupChild,
	"backup limited": limitedChild,
	"stage":          stageChild,
	"swap":           swapChild,
	"replay":         replayChild,
	"restore":        restoreChild,
	"salvage":        salvageChild,
	"measured":       measuredChild,
}

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		children[mode]() // one that is not there must not run the tests, which would start it again
		return
	}
	os.Exit(m.Run())
}

// A child is this test binary as a process of its own.
type child struct {
	*exec.Cmd
	out *bufio.Scanner
}

// newChild prepares a child.
func newChild(t *testing.T, mode string, env ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childMode+"="+mode), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &child{cmd, bufio.NewScanner(out)}
}

// startChild starts a child.
func startChild(t *testing.T, mode string, env ...string) *child {
	t.Helper()
	c := newChild(t, mode, env...)
	c.start(t)
	return c
}

func (c *child) start(t *testing.T) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// says returns the next line that the child prints, "" if there is none.
func (c *child) says() string {
	c.out.Scan()
	return c.out.Text()
}

// kill ends the child as nothing can be prepared for.
func (c *child) kill() {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// runKilled runs a child whose requests go over the wire, which kills it at its
// request. It returns whether the child came to its end before.
func runKilled(t *testing.T, w *wire, c *child) (finished bool) {
	t.Helper()
	started, killed := make(chan struct{}), make(chan struct{})
	w.mu.Lock()
	w.happen = func() {
		<-started
		_ = c.Process.Kill()
		w.cut()
		close(killed)
	}
	w.mu.Unlock()
	c.start(t)
	close(started)
	said := c.says()
	if said == "" {
		<-killed
		_ = c.Wait()
		return false
	}
	if said != "ended: <nil>" {
		t.Fatalf("the child says %q", said)
	}
	return true
}

// childEnv is what the runner would lend in the child's process: what is saved
// goes into a file, where the parent finds it.
func childEnv() *task.Env {
	file := os.Getenv("SAVED")
	return &task.Env{
		Log: slog.New(slog.DiscardHandler),
		Dir: filepath.Dir(file),
		Save: func(receipt any) error {
			raw, err := json.Marshal(receipt)
			if err != nil {
				return err
			}
			return os.WriteFile(file, raw, 0o600)
		},
		Progress: func(int64, int64, string) {},
	}
}

// say tells the parent where the child is.
func say(words ...any) { fmt.Println(words...) }

// database makes a database of this test's own.
func database(t testing.TB, sql string) redact.Secret {
	t.Helper()
	dsn := postgrestest.Database(t)
	execute(t, dsn, sql)
	return dsn
}

// execute runs statements in a session of their own.
func execute(t testing.TB, dsn redact.Secret, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	defer pg.Close(conn)
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value asks for one value in a session of its own.
func value[V any](t testing.TB, dsn redact.Secret, sql string) (v V) {
	t.Helper()
	conn := connect(t, dsn)
	defer pg.Close(conn)
	if err := conn.QueryRow(context.Background(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func connect(t testing.TB, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pg.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// contents reads a whole database.
func contents(t testing.TB, dsn redact.Secret) []pg.Table {
	t.Helper()
	conn := connect(t, dsn)
	defer pg.Close(conn)
	tables, err := pg.Contents(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// name is the database's in a connection string.
func name(t testing.TB, dsn redact.Secret) string {
	t.Helper()
	config, err := pg.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return config.Database
}

// wantError fails the test unless err says want and its hint says hint.
func wantError(t testing.TB, err error, want, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	if !strings.Contains(task.HintOf(err), hint) {
		t.Errorf("hint %q does not say %q", task.HintOf(err), hint)
	}
}
