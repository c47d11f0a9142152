package schema_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func rehearsal() *schema.Rehearse {
	return &schema.Rehearse{Copy: "auto", StatementTimeout: 15 * time.Minute}
}

func rehearse(dsn redact.Secret, dir task.Path) *schema.Rehearse {
	r := rehearsal()
	r.DSN, r.Dir = dsn, dir
	return r
}

// copies counts the copies of the test's database that are there.
func copies(t testing.TB, dsn redact.Secret) int {
	t.Helper()
	return query[int](t, dsn, "select count(*) from pg_database where datname = current_database() || '_phasegate_rehearsal'")
}

// seen is a report, as its reader sees it.
type seen struct {
	Migrations []struct {
		Version     string
		Transaction bool
		Error       string
		Statements  []struct {
			Place     string
			SQL       string
			MS        float64
			Locks     []struct{ Table, Mode string }
			Rewritten []string
		}
	}
}

func reportOf(t testing.TB, receipt schema.Rehearsal) seen {
	t.Helper()
	info, err := os.Stat(receipt.Report)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("report %v, error %v", info, err)
	}
	text, err := os.ReadFile(receipt.Report)
	if sum := fmt.Sprintf("%x", sha256.Sum256(text)); sum != receipt.ReportSHA256 {
		t.Errorf("the receipt has the report's SHA-256 as %q, and it is %s", receipt.ReportSHA256, sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	var report seen
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTheCutOverIsRehearsedWithoutTouchingTheDatabase(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	name := query[string](t, dsn, "select current_database()")
	if err := medlogistics.Seed(t.Context(), dsn, 200); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the seed's session has ended", func() bool {
		return query[bool](t, postgrestest.ForTest(t).DSN("postgres"), "select not exists (select from pg_stat_activity where datname = $1)", name)
	})
	r := rehearse(dsn, "../../schema")
	r.Baseline, r.To = "20260101000000", "20261101000000"
	receipt, err := r.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Copy != "template" || receipt.Migrations != 1 || receipt.Statements != 5 || receipt.Rewrites != 0 ||
		receipt.StrongestLock != "AccessExclusiveLock" || !strings.Contains(receipt.Longest, "20261101000000_auth0.sql:") {
		t.Errorf("receipt %+v", receipt)
	}
	if receipt.WindowMS > receipt.TotalMS || receipt.LongestMS > receipt.TotalMS || receipt.CopyMS == 0 {
		t.Errorf("times of %+v", receipt)
	}
	if hasTable(t, dsn, "hospitals") || hasTable(t, dsn, "atlas_schema_revisions.atlas_schema_revisions") || copies(t, dsn) != 0 {
		t.Error("the rehearsal left something behind")
	}
	reportOf(t, receipt)
}

// weighty is a history whose second version has one statement of each weight.
func weighty(t *testing.T) task.Path {
	t.Helper()
	return write(t,
		"1_tables.sql", "create table people (id int primary key, age int);\ncreate table notes (id int);\n"+
			"insert into people select i, i from generate_series(1, 1000) i;\ninsert into notes values (1);\n"+
			"create function slow(int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.3); return $1; end $$;\n",
		"2_weighty.sql", "create table wards (id int primary key);\n"+
			"alter table wards add column n bigint;\n"+
			"create index on people (age);\n"+
			"alter table people add column code uuid default gen_random_uuid();\n"+
			"alter table people add column ward int references wards;\n",
		"3_outside.sql", outside+"create index concurrently notes_slow on notes (slow(id));\nalter table people add column n int;\n")
}

func TestLocksAndRewritesAreThoseOfEachStatement(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), weighty(t)
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	receipt, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Migrations != 2 || receipt.Statements != 7 || receipt.Rewrites != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	report := reportOf(t, receipt)
	if !report.Migrations[0].Transaction || report.Migrations[1].Transaction {
		t.Errorf("transactions of %+v", report)
	}
	for i, want := range []struct{ lock, rewritten string }{
		{"", ""}, // a new table
		{"", ""}, // what was not there before keeps nobody waiting
		{"public.people ShareLock", ""},
		{"public.people AccessExclusiveLock", "public.people"},
		{"", ""}, // the lock is held already
	} {
		s := report.Migrations[0].Statements[i]
		var locks []string
		for _, lock := range s.Locks {
			locks = append(locks, lock.Table+" "+lock.Mode)
		}
		if got := strings.Join(locks, ", "); got != want.lock || strings.Join(s.Rewritten, ", ") != want.rewritten {
			t.Errorf("%s: locks %q, rewritten %v, want %+v", s.Place, got, s.Rewritten, want)
		}
	}
	for i, want := range []string{"{public.notes ShareUpdateExclusiveLock}", "{public.people AccessExclusiveLock}"} {
		if got := fmt.Sprint(report.Migrations[1].Statements[i].Locks); !strings.Contains(got, want) {
			t.Errorf("outside of a transaction, statement %d: locks %s, want %s", i+1, got, want)
		}
	}
}

func TestWhatFailsOnTheRealRowsFailsInTheRehearsal(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t,
		"1_people.sql", "create table people (email text);\ninsert into people values ('n.doe@ward.example'), ('n.doe@ward.example');\n",
		"2_unique.sql", "create table a (id int);\n\nalter table people add unique (email);\n",
		"3_later.sql", "create table b (id int);\n")
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	receipt, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2_unique.sql:3", "SQLSTATE 23505")
	if receipt.Migrations != 0 || receipt.Statements != 2 {
		t.Errorf("receipt %+v", receipt)
	}
	report := reportOf(t, receipt)
	if !strings.Contains(report.Migrations[0].Error, "2_unique.sql:3") {
		t.Errorf("report %+v", report)
	}
	text, _ := os.ReadFile(receipt.Report)
	if bytes.Contains(text, []byte("n.doe@")) || strings.Contains(err.Error(), "n.doe@") {
		t.Error("a person is in the report or in the error")
	}
	if copies(t, dsn) != 0 || hasTable(t, dsn, "a") {
		t.Error("the failed rehearsal left something behind")
	}
}

func TestTheNextRehearsalDropsTheCopyOfAKilledOne(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	killStep(t, "step-rehearse", dsn, write(t, "1_a.sql", "select pg_sleep(20);\n"), nil, "the copy sleeps", func() bool {
		return query[bool](t, dsn, `select exists (select from pg_stat_activity
			where datname = current_database() || '_phasegate_rehearsal' and query like 'select pg_sleep%')`)
	})
	if copies(t, dsn) != 1 {
		t.Fatal("the kill left no copy: this test shows nothing")
	}
	if _, err := rehearse(dsn, wards(t)).Run(t.Context(), tasktest.Env(t)); err != nil || copies(t, dsn) != 0 {
		t.Errorf("copies %d, error %v", copies(t, dsn), err)
	}
}

// The server goes on making a copy for a process that is gone.
func TestKilledWhileItsCopyIsMadeTheNextRehearsalMakesItsOwn(t *testing.T) {
	t.Parallel()
	dsn, maintenance := postgrestest.Database(t), postgrestest.ForTest(t).DSN(pg.Maintenance)
	database := query[string](t, dsn, "select current_database()")
	other := connect(t, maintenance)
	inOther := func(statement string) {
		t.Helper()
		if _, err := other.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	making := func(but int) (pid int) {
		return query[int](t, maintenance, fmt.Sprintf(`select coalesce(min(pid), 0) from pg_stat_activity
			where state = 'active' and pid <> %d and query like 'create database%%%s_phasegate_rehearsal%%'
			  and pid <> pg_backend_pid()`, but, database))
	}
	// Keeps any copy of the database waiting.
	inOther("begin; comment on database " + pgx.Identifier{database}.Sanitize() + " is 'held'")
	var killed int
	killStep(t, "step-rehearse", dsn, wards(t), nil, "the copy is made", func() bool { killed = making(0); return killed != 0 })

	done := make(chan error, 1)
	go func() {
		_, err := rehearse(dsn, wards(t)).Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "the next copy is made", func() bool { return making(killed) != 0 })
	inOther("rollback")
	if err := <-done; err != nil || copies(t, dsn) != 0 {
		t.Errorf("copies %d, error %v", copies(t, dsn), err)
	}
}

func TestAnInterruptedRehearsalDropsItsCopy(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t, "1_a.sql", "create table a (id int);\nselect pg_sleep(60);\n")
	cause := errors.New("interrupted by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := rehearse(dsn, dir).Run(ctx, tasktest.Env(t))
		done <- err
	}()
	eventually(t, "the copy sleeps", func() bool {
		return query[bool](t, dsn, `select exists (select from pg_stat_activity
			where datname = current_database() || '_phasegate_rehearsal' and query like '%pg_sleep%')`)
	})
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if copies(t, dsn) != 0 {
		t.Error("the copy is left")
	}
}

func TestAnAccountThatMayNotMakeACopyIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	name := query[string](t, dsn, "select current_database()")
	do(t, dsn, "create role migrator login password 'pa55word-of-migrator'")
	do(t, dsn, "grant create on database "+pgx.Identifier{name}.Sanitize()+" to migrator")
	migrator := postgrestest.ForTest(t).RoleDSN("migrator", "pa55word-of-migrator", name)
	fails(t, rehearse(migrator, dir).Check(t.Context(), tasktest.Env(t)), "lacks the right to create databases")
}

func TestAnImpossibleCopyIsRefused(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]schema.Rehearse{
		"an unknown way":      {Copy: "snapshot"},
		"no way":              {},
		"a backup without it": {Copy: "backup"},
		"no time":             {Copy: "auto", StatementTimeout: -1},
	} {
		if r.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
