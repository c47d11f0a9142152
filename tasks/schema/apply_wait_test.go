package schema_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

func TestALockHeldByAnotherSessionIsWaitedForInShortTurns(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	first := apply(dsn, dir)
	first.To = "2"
	mustApply(t, first)
	other := connect(t, redact.NewSecret(dsn.Reveal()))
	if _, err := other.Exec(t.Context(), "set application_name = 'reporting'; begin; select * from wards"); err != nil {
		t.Fatal(err)
	}
	a := apply(dsn, dir)
	a.LockTimeout, a.LockTries = 150*time.Millisecond, 3
	_, err := a.Run(t.Context(), tasktest.Env(t))
	fails(t, err, "3_floor.sql:1", "SQLSTATE 55P03", "tried 3 times for 150ms", fmt.Sprintf("waited for: pid %d (reporting, idle in transaction for ", other.PgConn().PID()))
	if s := status(t, dsn, dir, ""); s.Version != "2" {
		t.Errorf("status %+v", s)
	}

	a.LockTries = 100
	done := make(chan error, 1)
	go func() {
		_, err := a.Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "it queues for the lock", func() bool {
		return query[bool](t, dsn, "select exists (select from pg_locks where not granted and relation = 'wards'::regclass)")
	})
	if _, err := other.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the lock was given up: %v", err)
	}
}

func TestTwoAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	lock, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "another phasegate works on it")
	lock.Release()
	mustApply(t, apply(dsn, dir))
}

func TestAnInterruptionLeavesWholeMigrationsOnly(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t, "1_a.sql", "create table a (id int);\n", "2_b.sql", "create table b (id int);\nselect pg_sleep(60);\n")
	cause := errors.New("interrupted by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := apply(dsn, dir).Run(ctx, tasktest.Env(t))
		done <- err
	}()
	eventually(t, "it sleeps", func() bool {
		return query[bool](t, dsn, "select exists (select from pg_stat_activity where datname = current_database() and state = 'active' and query like 'select pg_sleep(60)%')")
	})
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) || !strings.Contains(err.Error(), "2_b.sql:2") {
		t.Errorf("error %v", err)
	}
	if !hasTable(t, dsn, "a") || hasTable(t, dsn, "b") {
		t.Error("not exactly the whole migrations are there")
	}
	if s := status(t, dsn, dir, ""); s.Version != "1" || s.Pending != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestWhatAMigrationLeavesInTheSessionDoesNotReachTheNext(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"settings":         "set search_path = other;\nset lock_timeout = 0;\n",
		"a function's":     "create table none as select set_config('search_path', 'other', false);\n",
		"a function's own": "create function f() returns int language sql as $$ select set_config('search_path', 'other', false); select 1 $$;\nalter table b add column c int default f();\n",
		"a temporary one":  "create temp table b as select 1 as id;\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			do(t, dsn, "create schema other; create table b (id int); create table other.b (id int)")
			a := apply(dsn, write(t, "0_given.sql", "", "1_first.sql", first, "2_second.sql", "alter table b add column d int;\n"))
			a.Baseline = "0"
			_, err := a.Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			if !query[bool](t, dsn, "select exists (select from pg_attribute where attrelid = 'public.b'::regclass and attname = 'd')") {
				t.Error("the second migration did not find what it finds in a session of its own")
			}
		})
	}
}

func TestAMigrationOfAnotherAccountIsRecordedByOurs(t *testing.T) {
	t.Parallel()
	do(t, postgrestest.ForTest(t).DSN("postgres"), "create role matron")
	for name, first := range map[string]string{
		"a role":                          "set role matron;\ncreate table a (id int);\n",
		"a role, statement by statement":  outside + "set role matron;\ncreate table a (id int);\nvacuum a;\n",
		"a session":                       "set session authorization matron;\ncreate table a (id int);\n",
		"a session, each statement alone": outside + "set session authorization matron;\ncreate table a (id int);\nvacuum a;\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			do(t, dsn, "grant create on schema public to matron")
			mustApply(t, apply(dsn, write(t, "0_given.sql", "select 1;\n", "1_first.sql", first, "2_second.sql", "create table b (id int);\n")))
			if got := query[string](t, dsn, "select string_agg(tableowner, ',' order by tablename) from pg_tables where tablename in ('a', 'b')"); got != "matron,"+query[string](t, dsn, "select current_user") {
				t.Errorf("the tables belong to %s", got)
			}
		})
	}
}

// The limits of the application's sessions are not those of ours.
func TestTheSessionIsNotEndedForBeingIdle(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	name := query[string](t, dsn, "select current_database()")
	do(t, dsn, "alter database "+name+" set idle_session_timeout = '3s'")
	do(t, dsn, "alter database "+name+" set idle_in_transaction_session_timeout = '3s'")
	const shown = " as select current_setting('idle_session_timeout') || current_setting('idle_in_transaction_session_timeout') as s;\n"
	mustApply(t, apply(dsn, write(t, "1_a.sql", "create table a"+shown, "2_b.sql", outside+"create table b"+shown)))
	if got := query[string](t, dsn, "select a.s || b.s from a, b"); got != "0000" {
		t.Errorf("limits %s", got)
	}
}
