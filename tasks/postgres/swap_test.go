package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	sandbox "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func swap(dsn redact.Secret, to string) *postgres.Swap {
	s := swapSpec.New().Config().(*postgres.Swap)
	s.DSN, s.To, s.RunID = dsn, to, "run-7"
	return s
}

// migration is what the cut-over changes: new tables that refer to old ones,
// which keep pg_restore --clean from restoring, a new column, changed rows.
const migration = `
	alter table users add auth0_user_id text unique;
	create table user_ward_permissions (user_id uuid not null references users);
	update users set auth0_user_id = 'auth0|' || id, note = 'changed';
	insert into user_ward_permissions select id from users;
	delete from orders where id % 2 = 0; drop table no_rows`

// pair makes a live database and one to go back to.
func pair(t testing.TB) (live redact.Secret, back string) {
	t.Helper()
	live = database(t, "create table t (v text); insert into t values ('before')")
	receipt := staged(t, stage(live), tasktest.Env(t))
	execute(t, live, "update t set v = 'after'; create table fresh ()")
	dropLater(t, name(t, live)+"_replaced_run_7")
	return live, receipt.Database
}

func TestSwapKeepsTheContract(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	tasktest.Conform(t, tasktest.Case{
		Spec:      swapSpec,
		Configure: func(config any) { *config.(*postgres.Swap) = *swap(live, back) },
		Secrets:   []string{password(t, live)},
	})
}

// TestByHandFailure01RollbackRestoresEveryRow is the by-hand procedure's
// first failure: a plain dump piped into the live database restored not one row
// and exited with 0. Here every row and every table is as it was.
func TestByHandFailure01RollbackRestoresEveryRow(t *testing.T) {
	t.Parallel()
	for _, method := range []postgres.Method{postgres.Template, postgres.Restore} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			dsn := database(t, awkward)
			before := contents(t, dsn)
			made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			s := stage(dsn)
			s.Method, s.Backup = method, made.File
			back := staged(t, s, tasktest.Env(t))
			execute(t, dsn, migration)
			changed := contents(t, dsn)
			if len(pg.Differences(before, changed)) == 0 {
				t.Fatal("the migration changed nothing")
			}
			receipt, err := swap(dsn, back.Database).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			dropLater(t, receipt.Replaced)
			if d := pg.Differences(before, contents(t, dsn)); len(d) > 0 {
				t.Errorf("not restored: %s", strings.Join(d, "; "))
			}
			if n := value[int](t, dsn, "select count(*) from pg_attribute where attname = 'auth0_user_id' and not attisdropped"); n != 0 {
				t.Error("the new column is still there")
			}
			if d := pg.Differences(changed, contents(t, opened(t, receipt.Replaced))); len(d) > 0 {
				t.Errorf("the replaced database lost something: %s", strings.Join(d, "; "))
			}
		})
	}
}

func TestSwapEndsSessionsAndKeepsTheReplacedDatabaseClosed(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	app := connect(t, live)
	defer pg.Close(app)
	if _, err := app.Exec(t.Context(), "begin; update t set v = 'in flight'"); err != nil {
		t.Fatal(err)
	}
	receipt, err := swap(live, back).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Sessions != 1 || receipt.Database != name(t, live) || receipt.Restored != back || receipt.Replaced != name(t, live)+"_replaced_run_7" {
		t.Errorf("receipt = %+v", receipt)
	}
	if err := app.Ping(t.Context()); err == nil {
		t.Error("the application still works on the replaced database")
	}
	if _, err := pg.Connect(t.Context(), postgrestest.ForTest(t).DSN(receipt.Replaced)); err == nil {
		t.Error("the replaced database takes connections")
	}
	if v := value[string](t, live, "select v from t"); v != "before" {
		t.Errorf("live has %q", v)
	}
	if v := value[string](t, opened(t, receipt.Replaced), "select v from t"); v != "after" {
		t.Errorf("replaced has %q", v)
	}
}

// A client that the server has let in is not seen before its session has begun, which
// the server's own means for debugging draws out here.
func TestSwapEndsASessionThatIsOnlySeenAfterTheDatabaseWasClosed(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	config, err := pg.Parse(live)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["options"] = "-c post_auth_delay=1"
	late := make(chan *pgx.Conn)
	go func() {
		conn, _ := pgx.ConnectConfig(context.WithoutCancel(t.Context()), config)
		late <- conn
	}()
	waitFor(t, func() bool {
		return value[bool](t, postgrestest.ForTest(t).DSN(pg.Maintenance), `select exists (select from pg_locks
			where classid = 'pg_database'::regclass and mode = 'RowExclusiveLock' and objid = (select oid from pg_database where datname = '`+name(t, live)+`'))`)
	})
	receipt, err := swap(live, back).Run(t.Context(), tasktest.Env(t))
	conn := <-late
	if err != nil {
		t.Fatal(err)
	}
	if conn != nil {
		defer pg.Close(conn)
		if receipt.Sessions != 1 || conn.Ping(t.Context()) == nil {
			t.Errorf("a session that came late was not ended: %+v", receipt)
		}
	}
}

func TestSwapCarriesOverWhatWasChangedSinceTheCopy(t *testing.T) {
	t.Parallel()
	live := database(t, "create table t ()")
	db := name(t, live)
	someone, other := role(t, live, ""), role(t, live, "")
	execute(t, live, fmt.Sprintf(`
		alter database %[1]s set work_mem to '5MB'; alter role %[2]s in database %[1]s set datestyle to 'German';
		comment on database %[1]s is 'before'; grant create on database %[1]s to %[2]s`, db, someone.role))
	back := staged(t, stage(live), tasktest.Env(t))
	execute(t, live, fmt.Sprintf(`
		alter database %[1]s reset work_mem; alter database %[1]s set search_path to "$user", other; alter role %[2]s in database %[1]s reset all;
		alter database %[1]s connection limit 17; comment on database %[1]s is null;
		revoke create on database %[1]s from %[2]s; revoke connect on database %[1]s from public; grant connect on database %[1]s to %[3]s with grant option;
		alter database %[1]s owner to %[3]s`, db, someone.role, other.role))
	want := describeDatabase(t, db)
	receipt, err := swap(live, back.Database).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, receipt.Replaced)
	if got := describeDatabase(t, db); got != want {
		t.Errorf("the database is\n%s\nwant\n%s", got, want)
	}
}

func TestSwapTwiceDoesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	env := tasktest.Env(t)
	first, err := swap(live, back).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for what, env := range map[string]*task.Env{"in the same run": env, "with nothing saved": tasktest.Env(t)} {
		second, err := swap(live, back).Run(t.Context(), env)
		var skip *task.SkipError
		if !errors.As(err, &skip) || second.Replaced != first.Replaced {
			t.Errorf("%s: %+v, %v", what, second, err)
		}
		if v := value[string](t, live, "select v from t"); v != "before" {
			t.Errorf("%s: live has %q", what, v)
		}
	}
}

func TestSwapIsTakenBackByASwap(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	receipt, err := swap(live, back).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	again := swap(live, receipt.Replaced)
	again.RunID = "run-8"
	second, err := again.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, second.Replaced)
	if v := value[string](t, live, "select v from t"); v != "after" {
		t.Errorf("live has %q", v)
	}
}

func TestSwapRefusesBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	cluster, err := sandbox.Settings{Parameters: map[string]string{
		"wal_level": "logical", "max_wal_senders": "2", "max_replication_slots": "2", "max_prepared_transactions": "2",
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Stop()
	maintenance := cluster.DSN(pg.Maintenance)
	cases := []struct{ obstruct, clear, want, hint string }{
		{
			"begin; insert into t values ('x'); prepare transaction 'stuck'", "rollback prepared 'stuck'",
			"1 prepared transactions, among them stuck", "ROLLBACK PREPARED",
		},
		{
			"select pg_create_logical_replication_slot('consumer', 'pgoutput', true)", "select pg_drop_replication_slot('consumer')",
			"1 logical replication slots, among them consumer", "pg_drop_replication_slot",
		},
		{
			"select pg_create_logical_replication_slot('idle', 'pgoutput')", "select pg_drop_replication_slot('idle')",
			"1 logical replication slots, among them idle", "have their readers begin anew",
		},
		{
			"create subscription follower connection 'host=127.0.0.1 port=1' publication p with (connect = false)",
			"alter subscription follower set (slot_name = none); drop subscription follower",
			"1 subscriptions, among them follower", "make them anew",
		},
	}
	execute(t, maintenance, "create database app")
	live := cluster.DSN("app")
	execute(t, live, "create table t (v text)")
	back, err := stage(live).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		app := connect(t, live)
		defer pg.Close(app)
		if _, err := app.Exec(t.Context(), c.obstruct); err != nil {
			t.Fatal(err)
		}
		wantError(t, swap(live, back.Database).Check(t.Context(), tasktest.Env(t)), c.want, c.hint)
		_, err := swap(live, back.Database).Run(t.Context(), tasktest.Env(t))
		wantError(t, err, c.want, c.hint)
		for statement := range strings.SplitSeq(c.clear, "; ") {
			if _, err := app.Exec(t.Context(), statement); err != nil {
				t.Errorf("after a refused swap, %s: %v", statement, err)
			}
		}
	}
	if _, err := swap(live, back.Database).Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("with nothing in the way: %v", err)
	}
}

func TestSwapRefusesASuperusersSessionThatItMayNotEnd(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	owner := role(t, dsn, "createdb")
	execute(t, dsn, "alter database "+name(t, dsn)+" owner to "+owner.role)
	back := staged(t, stage(owner.dsn), tasktest.Env(t))
	dropLater(t, name(t, dsn)+"_replaced_run_7")
	super := connect(t, dsn)
	_, err := swap(owner.dsn, back.Database).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "may not end 1 sessions of other roles, among them postgres", "pg_signal_backend")
	execute(t, dsn, "grant pg_signal_backend to "+owner.role)
	_, err = swap(owner.dsn, back.Database).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "sessions that only a superuser may end: process", "end them as a superuser")
	if err := super.Ping(t.Context()); err != nil {
		t.Errorf("the session was ended: %v", err)
	}
	pg.Close(super)
	// Ending a session takes the server a moment.
	waitFor(t, func() bool {
		_, err = swap(owner.dsn, back.Database).Run(t.Context(), tasktest.Env(t))
		return err == nil
	})
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatal("waited for ten seconds in vain")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestSwapSaysWhichDatabaseIsMissing(t *testing.T) {
	t.Parallel()
	live := database(t, "")
	_, err := swap(live, "nowhere").Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "there is no database nowhere", "postgres/stage")
	_, err = swap(postgrestest.ForTest(t).DSN("nowhere"), name(t, live)).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "there is no database nowhere", "database name")
	_, err = swap(postgrestest.ForTest(t).DSN(pg.Maintenance), name(t, live)).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "database postgres cannot be renamed away", "of its own")
}
