package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// step is a phasegate whose step keeps its receipts in the file saved. It takes
// the connection string and the proofs from the environment.
func step(name, dir, saved string) int {
	env := &task.Env{Log: slog.New(slog.DiscardHandler), Dir: filepath.Dir(saved), Progress: func(int64, int64, string) {}}
	env.Save = func(receipt any) error {
		raw, err := json.Marshal(receipt)
		if err != nil {
			return err
		}
		return os.WriteFile(saved, raw, 0o600)
	}
	var err error
	switch dsn := redact.NewSecret(os.Getenv("TEST_DSN")); name {
	case "step-apply":
		_, err = apply(dsn, task.Path(dir)).Run(context.Background(), env)
	case "step-rehearse":
		_, err = rehearse(dsn, task.Path(dir)).Run(context.Background(), env)
	case "step-revert":
		_, err = revert(dsn, task.Path(dir), "1", strings.Split(os.Getenv("TEST_PROVEN"), ",")).Run(context.Background(), env)
	}
	if err != nil {
		return 1
	}
	return 0
}

// killWhile runs schema/apply and kills it when the condition holds. It returns
// what the step had saved.
func killWhile(t *testing.T, dsn redact.Secret, dir task.Path, what string, holds func() bool) json.RawMessage {
	t.Helper()
	return killStep(t, "step-apply", dsn, dir, nil, what, holds)
}

func killStep(t *testing.T, name string, dsn redact.Secret, dir task.Path, proven []string, what string, holds func() bool) json.RawMessage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved.json")
	child := &exec.Cmd{Path: self, Args: []string{name, string(dir), saved}}
	child.Env = append(os.Environ(), "TEST_DSN="+dsn.Reveal(), "TEST_PROVEN="+strings.Join(proven, ","))
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, what, holds)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	raw, err := os.ReadFile(saved)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return raw
}

func asleep(t *testing.T, dsn redact.Secret) func() bool {
	return func() bool {
		return query[bool](t, dsn, `select exists (select from pg_stat_activity
			where datname = current_database() and query like '%pg_sleep%' and pid <> pg_backend_pid() and state = 'active')`)
	}
}

func TestKilledInTheMiddleTheNextCallGoesOn(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t,
		"1_a.sql", "create table a (id int);\n",
		"2_b.sql", "create table b (id int);\nselect pg_sleep(3);\n",
		"3_c.sql", "create table c (id int);\n")
	saved := killWhile(t, dsn, dir, "the second migration runs", asleep(t, dsn))

	// The killed session's locks on the new table are gone within seconds.
	env := tasktest.Env(t)
	env.Saved = saved
	r, err := apply(dsn, dir).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if r.From != "" || r.To != "3" || r.Applied != 3 || !slices.Equal(r.Versions, []string{"1", "2", "3"}) {
		t.Errorf("the receipt does not tell of both calls: %+v", r)
	}
	if !hasTable(t, dsn, "b") || !hasTable(t, dsn, "c") {
		t.Error("the schema is not complete")
	}
}

// The server goes on with the last statement for a process that is gone.
func TestKilledWhileTheServerCommitsTheNextCallGoesOnBehindIt(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	// The commit waits for this session, and does not look whether its client is there.
	dir := write(t, "1_a.sql", `create table a (id int);
create function guard() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger guard after insert on a deferrable initially deferred for each row execute function guard();
insert into a values (1);
set client_connection_check_interval = 0;
set lock_timeout = 0;
`, "2_b.sql", "create table b (id int);\n")
	guard := connect(t, dsn)
	if _, err := guard.Exec(t.Context(), "select pg_advisory_lock(1)"); err != nil {
		t.Fatal(err)
	}
	killWhile(t, dsn, dir, "the commit waits", func() bool {
		return query[bool](t, dsn, "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'advisory' and query like '%; commit')")
	})
	done := make(chan error, 1)
	var receipt schema.Applied
	go func() {
		var err error
		receipt, err = apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "the next call is at the database", func() bool {
		return query[int](t, dsn, "select count(*)::int from pg_stat_activity where datname = current_database() and application_name = 'phasegate'") == 2
	})
	time.Sleep(300 * time.Millisecond) // time to do something wrong
	if _, err := guard.Exec(t.Context(), "select pg_advisory_unlock(1)"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || receipt.From != "1" || receipt.Applied != 1 || !hasTable(t, dsn, "b") {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestKilledAfterTheLastMigrationTheNextCallIsNotASkip(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	env := tasktest.Env(t)
	if _, err := apply(dsn, dir).Run(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	r, err := apply(dsn, dir).Run(t.Context(), env) // env still has what the first call saved
	if err != nil || r.From != "" || r.Applied != 3 {
		t.Errorf("receipt %+v, error %v", r, err)
	}
}

const outside = "-- atlas:txmode none\n\n"

func TestKilledOutsideATransactionTheNextCallGoesOnAtTheStatement(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t,
		"1_a.sql", "create table a (id int);\n",
		"2_b.sql", outside+"create table b (id int);\nselect pg_sleep(3);\ncreate table c (id int);\n")
	saved := killWhile(t, dsn, dir, "the second migration sleeps", asleep(t, dsn))
	if s := status(t, dsn, dir, ""); s.Partial != "2" || s.Pending != 1 {
		t.Errorf("status %+v", s)
	}
	env := tasktest.Env(t)
	env.Saved = saved
	r, err := apply(dsn, dir).Run(t.Context(), env)
	if err != nil || r.To != "2" || r.Applied != 2 {
		t.Fatalf("receipt %+v, error %v", r, err)
	}
	if s := status(t, dsn, dir, ""); s.Partial != "" || s.Pending != 0 || !hasTable(t, dsn, "c") {
		t.Errorf("status %+v", s)
	}
}

func TestAFailureOutsideATransactionIsMendedAndGoneOnWith(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	const good, bad = "create table a (id int);\n", "create table b (id nosuchtype);\n"
	dir := write(t, "1_a.sql", outside+good+bad)
	r, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "1_a.sql:4", "nosuchtype")
	if r.Applied != 0 || r.Pending != 1 {
		t.Errorf("receipt %+v", r)
	}
	rewrite := func(content string) {
		if err := os.WriteFile(filepath.Join(string(dir), "1_a.sql"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		hash(t, string(dir))
	}
	rewrite(outside + "create table a (id bigint);\n" + bad)
	if _, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Error("an applied statement was edited, and nobody noticed")
	}
	rewrite(outside + good + "create table b (id int);\n")
	mustApply(t, apply(dsn, dir))
	if s := status(t, dsn, dir, ""); s.Version != "1" || s.Partial != "" {
		t.Errorf("the file that was mended: %+v", s)
	}
}

func TestAnIndexIsMadeConcurrentlyWithoutALockTimeout(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t,
		"1_a.sql", "create table a (id int);\ninsert into a values (1), (1);\n",
		"2_i.sql", outside+"create unique index concurrently if not exists a_id on a (id);\n")
	_, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2_i.sql:3", "SQLSTATE 23505")
	if query[bool](t, dsn, "select indisvalid from pg_index where indexrelid = 'a_id'::regclass") {
		t.Fatal("PostgreSQL left a valid index behind a failed build: this test shows nothing")
	}
	do(t, dsn, "delete from a where ctid = (select min(ctid) from a)")

	// A transaction that is longer than the lock timeout does not end the build.
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "begin; select * from a"); err != nil {
		t.Fatal(err)
	}
	a := apply(dsn, dir)
	a.LockTimeout = 20 * time.Millisecond
	done := make(chan error, 1)
	go func() {
		_, err := a.Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "the build waits for the transaction", func() bool {
		return query[bool](t, dsn, `select exists (select from pg_stat_activity where datname = current_database()
			and query ilike '%index concurrently%' and wait_event_type = 'Lock' and now() - state_change > '100 ms')`)
	})
	if _, err := other.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !query[bool](t, dsn, "select indisvalid from pg_index where indexrelid = 'a_id'::regclass") {
		t.Error("the index is not valid")
	}
}

func TestAMigrationThatWouldNotBeWholeIsRefusedBeforeItRuns(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	for name, c := range map[string]struct{ sql, want string }{
		"its own commit":          {"create table a (id int);\ncommit;\ncreate table b (id int);\n", "1_a.sql:2: commit"},
		"a commit of more words":  {"create table a (id int);\ncommit /* all */ work;\nselect 1/0;\n", "1_a.sql:2: commit work"},
		"a transaction":           {"begin transaction;\ncreate table a (id int);\ncommit transaction;\n", "1_a.sql:1: begin transaction"},
		"a chain":                 {"create table a (id int);\nROLLBACK -- no to\nAND CHAIN;\n", "1_a.sql:2: ROLLBACK AND CHAIN"},
		"two phases":              {"create table a (id int);\nprepare transaction 'to';\n", "1_a.sql:2: prepare transaction"},
		"another's two phases":    {"create table a (id int);\nrollback prepared 'x';\n", "1_a.sql:2: rollback prepared"},
		"two in one":              {"-- atlas:delimiter \\n\\n\ncreate table a (id int); commit;\nselect 1\n\nselect 2", ": commit in a migration"},
		"lines of Windows":        {"-- atlas:txmode none\r\n\r\ncreate table a (id int);\r\n", "1_a.sql: its lines end in CR LF"},
		"a byte order mark":       {"\ufeffcreate table a (id int);\n", "1_a.sql: it begins with a byte order mark"},
		"a directive in the body": {"-- atlas:txmode none\ncreate table a (id int);\n", "is not in the file's header"},
	} {
		_, err := apply(dsn, write(t, "1_a.sql", c.sql)).Run(t.Context(), tasktest.Env(t))
		fails(t, err, c.want)
		if hasTable(t, dsn, "a") {
			t.Errorf("%s: it was run", name)
		}
	}
	mustApply(t, apply(dsn, write(t, "1_a.sql", "create table a (id int);\r\n\r\ncreate table b (id int);\r\n", "2_b.sql", outside+"select '\r\n';\n")))
	_, err := apply(dsn, write(t, "1_a.sql", "-- atlas:txmode all\n\nselect 1;\n")).Run(t.Context(), tasktest.Env(t))
	if err == nil {
		t.Error("an unknown mode was accepted")
	}
}

// With backslashes in strings, the server sees other statements than we do.
func TestAMigrationWhoseTransactionWasEndedIsNotRecorded(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t, "1_a.sql", "create table a (id int);\nset standard_conforming_strings = off;\n"+
		`select 'a\''; rollback and chain; select '\'';`+"\n")
	_, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "1_a.sql", "has ended the transaction")
	if s := status(t, dsn, dir, ""); s.Applied != 0 {
		t.Errorf("it is recorded: %+v", s)
	}
	_, err = apply(dsn, write(t, "1_a.sql", `create table a (id int);
create function halve() returns trigger language plpgsql as $$ begin new.id := 1 / 0; return null; end $$;
create constraint trigger late after insert on a deferrable initially deferred for each row execute function halve();
insert into a values (1);
`)).Run(t.Context(), tasktest.Env(t))
	if err == nil || strings.Contains(err.Error(), "has ended") || !strings.Contains(err.Error(), "record and commit it: ERROR: division by zero") {
		t.Errorf("error of a deferred trigger: %v", err)
	}
}

func TestRowsThatNobodySendsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, mode := range []string{"", outside} {
		dir := write(t, "1_a.sql", "create table a (id int);\n", "2_b.sql", mode+"copy a (id) -- all\nFROM STDIN with (format csv);\n")
		_, err := apply(dsn, dir).Run(ctx, tasktest.Env(t))
		fails(t, err, "2_b.sql:", "copy a ( id ) FROM STDIN")
		fails(t, apply(dsn, dir).Check(ctx, tasktest.Env(t)), "2_b.sql:")
		if hasTable(t, dsn, "a") {
			t.Error("what stands before it was applied")
		}
	}
}
