package schema_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

// shelves is a database with a table, an index, a partition and a history that
// ends before version 2.
func shelves(t *testing.T) redact.Secret {
	t.Helper()
	dsn := postgrestest.Database(t)
	mustApply(t, apply(dsn, write(t, "1_shelves.sql", shelvesFile)))
	return dsn
}

const shelvesFile = `
	create table shelves (id int, name text);
	create index shelves_name on shelves (name);
	create table log (at int) partition by range (at);
	create table log_1 partition of log for values from (1) to (2);
`

func shelvesThen(t *testing.T, second string) task.Path {
	t.Helper()
	return write(t, "1_shelves.sql", shelvesFile, "2_second.sql", outside+second)
}

// finish applies what is left after a kill and holds that it is right then.
func finish(t *testing.T, dsn redact.Secret, dir task.Path, saved []byte, right string) {
	t.Helper()
	env := tasktest.Env(t)
	env.Saved = saved
	if _, err := apply(dsn, dir).Run(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if !query[bool](t, dsn, "select "+right) {
		t.Errorf("afterwards it is not so that %s", right)
	}
	if query[bool](t, dsn, "select exists (select from pg_index where not indisvalid)") {
		t.Error("an invalid index is left")
	}
}

func TestKilledBetweenAStatementAndItsRecordTheNextCallDoesNotStumble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ second, done, right string }{
		"an index is made": {
			"create index concurrently -- why\n shelves_id on shelves(id);\n",
			"exists (select from pg_index where indexrelid = to_regclass('shelves_id') and indisvalid)",
			"to_regclass('shelves_id') is not null",
		},
		"an index is dropped": {"drop index concurrently shelves_name;\n", "to_regclass('shelves_name') is null", "to_regclass('shelves_name') is null"},
		"a partition is detached": {
			"alter table log detach partition log_1 concurrently;\n",
			"not exists (select from pg_inherits where inhrelid = 'log_1'::regclass)",
			"to_regclass('log_1') is not null",
		},
		"code is run": {
			"do $$ begin insert into shelves values (7); end $$;\n",
			"true", "(select count(*) = 1 from shelves where id = 7)",
		},
		"a table is made": {"create table boxes (id int);\n", "true", "to_regclass('boxes') is not null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := shelves(t)
			dir := shelvesThen(t, "select 1;\n"+c.second)
			// Whoever records the second statement waits for this session.
			guard := connect(t, dsn)
			do(t, dsn, `create function guard() returns trigger language plpgsql as
				$$ begin if new.applied = 2 then perform pg_advisory_xact_lock(1); end if; return new; end $$;
				create trigger guard before insert or update on atlas_schema_revisions.atlas_schema_revisions
				for each row execute function guard()`)
			if _, err := guard.Exec(t.Context(), "select pg_advisory_lock(1)"); err != nil {
				t.Fatal(err)
			}
			waiting := "exists (select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database()))"
			saved := killWhile(t, dsn, dir, "the record waits", func() bool { return query[bool](t, dsn, "select "+waiting+" and "+c.done) })
			do(t, dsn, `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted
				and database = (select oid from pg_database where datname = current_database())`)
			eventually(t, "the killed session is gone", func() bool { return !query[bool](t, dsn, "select "+waiting) })
			if _, err := guard.Exec(t.Context(), "select pg_advisory_unlock_all()"); err != nil {
				t.Fatal(err)
			}
			finish(t, dsn, dir, saved, c.right)
		})
	}
}

func TestKilledWhileItWaitsForOthersTheNextCallTidiesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ second, table, left, right string }{
		"an index": {
			"create index concurrently if not exists shelves_id on shelves (id);\n", "shelves",
			"exists (select from pg_index where indexrelid = to_regclass('shelves_id') and not indisvalid)",
			"exists (select from pg_index where indexrelid = to_regclass('shelves_id') and indisvalid)",
		},
		"the copy of an index": {
			"reindex index concurrently shelves_name;\n", "shelves",
			"exists (select from pg_index where indexrelid = to_regclass('shelves_name_ccnew') and not indisvalid)",
			"to_regclass('shelves_name_ccnew') is null and to_regclass('shelves_name') is not null",
		},
		"a detachment": {
			"alter table log detach partition log_1 concurrently;\n", "log",
			"exists (select from pg_inherits where inhdetachpending)",
			"not exists (select from pg_inherits where inhrelid = 'log_1'::regclass)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, dir := shelves(t), shelvesThen(t, c.second)
			other := connect(t, dsn)
			if _, err := other.Exec(t.Context(), "begin; lock table "+c.table+" in row exclusive mode"); err != nil {
				t.Fatal(err)
			}
			saved := killWhile(t, dsn, dir, "it waits", func() bool {
				return query[bool](t, dsn, "select "+c.left+` and exists (select from pg_stat_activity
					where datname = current_database() and wait_event_type = 'Lock' and query like '%concurrently%')`)
			})
			eventually(t, "the killed session is gone", func() bool {
				return !query[bool](t, dsn, `select exists (select from pg_stat_activity
					where datname = current_database() and application_name = 'phasegate')`)
			})
			if !query[bool](t, dsn, "select "+c.left) {
				t.Fatal("the kill left nothing: this test shows nothing")
			}
			if _, err := other.Exec(t.Context(), "commit"); err != nil {
				t.Fatal(err)
			}
			finish(t, dsn, dir, saved, c.right)
		})
	}
}

func TestAnIndexWaitsForOurOwnSnapshotsToBeClosed(t *testing.T) {
	t.Parallel()
	dsn := shelves(t)
	config, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "phasegate"
	backup, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Close(t.Context())
	if _, err := backup.Exec(t.Context(), "begin isolation level repeatable read; select 1"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := apply(dsn, shelvesThen(t, "create index concurrently shelves_id on shelves (id);\n")).Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "it looks for snapshots", func() bool {
		return query[bool](t, dsn, "select exists (select from pg_stat_activity where query like '%backend_xmin is not null%' and application_name = 'phasegate')")
	})
	if hasTable(t, dsn, "shelves_id") {
		t.Error("it began beside a snapshot of our own")
	}
	if _, err := backup.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWhatAFileHasSetHoldsForTheRestOfItAfterAFailure(t *testing.T) {
	t.Parallel()
	dsn := shelves(t)
	const good = "create schema app;\nset search_path = app;\ncreate index concurrently i on public.shelves (id);\n"
	_, err := apply(dsn, shelvesThen(t, good+"create table bad (id nosuchtype);\n")).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2_second.sql:6", "nosuchtype")
	mustApply(t, apply(dsn, shelvesThen(t, good+"create table good (id int);\n")))
	if !hasTable(t, dsn, "app.good") {
		t.Error("the rest of the file ran with another search path")
	}
}

func TestWhatCouldNotBeTakenUpAgainIsRefused(t *testing.T) {
	t.Parallel()
	dsn := shelves(t)
	_, err := apply(dsn, shelvesThen(t, "select 1;\ncreate unique index concurrently on shelves (id);\n")).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2_second.sql:4: an index without a name")
	_, err = apply(dsn, shelvesThen(t, "begin;\ncreate table half (id int);\n")).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "leaves a transaction open")
	if hasTable(t, dsn, "half") {
		t.Error("half a transaction was committed")
	}
	mustApply(t, apply(dsn, shelvesThen(t, "begin;\ncreate table whole (id int);\ncommit;\nvacuum shelves;\n")))
	if !hasTable(t, dsn, "whole") {
		t.Error("a transaction of the file's own was not committed")
	}
}

func TestAStatementIsNotRunAgainForItsRecord(t *testing.T) {
	t.Parallel()
	dsn := shelves(t)
	do(t, dsn, `create procedure fill() language plpgsql as
		$$ begin insert into shelves values (7); commit; perform pg_sleep(1); end $$`)
	dir := shelvesThen(t, "call fill();\n")
	done := make(chan error, 1)
	go func() {
		_, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "it has done a part", func() bool { return query[bool](t, dsn, "select exists (select from shelves)") })
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "begin; lock table atlas_schema_revisions.atlas_schema_revisions in share mode"); err != nil {
		t.Fatal(err)
	}
	waiting := "select exists (select from pg_locks where not granted and relation = 'atlas_schema_revisions.atlas_schema_revisions'::regclass)"
	eventually(t, "its record waits", func() bool { return query[bool](t, dsn, waiting) })
	eventually(t, "its record gives way", func() bool { return !query[bool](t, dsn, waiting) })
	if _, err := other.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := query[int](t, dsn, "select count(*) from shelves"); n != 1 {
		t.Errorf("the procedure was run %d times", n)
	}
}

func TestOnlyWhatWorksConcurrentlyHasNoLimits(t *testing.T) {
	t.Parallel()
	for sql, limited := range map[string]bool{
		"alter table shelves -- cannot be done concurrently\n add column n int":       true,
		"create table boxes (id int default length('create index concurrently'))":     true,
		`alter table shelves rename column name to "detach partition a concurrently"`: true,
		"reindex (concurrently off) table shelves":                                    true,
		"drop /* it is used */ index concurrently if exists shelves_name":             false,
		"reindex (verbose, concurrently) index shelves_name":                          false,
		"reindex table concurrently shelves":                                          false,
		"alter table log detach partition public.log_1 concurrently":                  false,
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			dsn := shelves(t)
			other := connect(t, dsn)
			if _, err := other.Exec(t.Context(), "begin; select * from shelves, log; create table boxes (id int)"); err != nil {
				t.Fatal(err)
			}
			a := apply(dsn, shelvesThen(t, sql+";\n"))
			a.LockTimeout, a.LockTries = 50*time.Millisecond, 1
			done := make(chan error, 1)
			go func() {
				_, err := a.Run(t.Context(), tasktest.Env(t))
				done <- err
			}()
			if !limited {
				eventually(t, "it waits for longer than the limit", func() bool {
					return query[bool](t, dsn, `select exists (select from pg_stat_activity where datname = current_database()
						and application_name = 'phasegate' and wait_event_type = 'Lock' and now() - state_change > '200 ms')`)
				})
				if _, err := other.Exec(t.Context(), "rollback"); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-done:
				if limited {
					fails(t, err, "SQLSTATE 55P03")
				} else if err != nil {
					t.Error(err)
				}
			case <-time.After(15 * time.Second):
				t.Error("it waits without a limit")
			}
		})
	}
}

func TestAVacuumInTheWayIsFoundInTime(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	a := apply(dsn, write(t, "1_a.sql", "create table a as select current_setting('deadlock_timeout') as d, current_setting('lock_timeout') as l;\n"))
	a.LockTimeout = 100 * time.Millisecond
	mustApply(t, a)
	if got := query[string](t, dsn, "select d || ' ' || l from a"); got != "50ms 100ms" {
		t.Errorf("deadlock_timeout and lock_timeout are %s: the server ends a vacuum only when it looks for deadlocks", got)
	}
}
