package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func stage(dsn redact.Secret) *postgres.Stage {
	s := stageSpec.New().Config().(*postgres.Stage)
	s.DSN, s.RunID, s.Wait = dsn, "run-7", 500*time.Millisecond
	return s
}

// staged runs a stage, and drops what it made when the test ends.
func staged(t testing.TB, s *postgres.Stage, env *task.Env) postgres.StageReceipt {
	t.Helper()
	receipt, err := s.Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, receipt.Database)
	return receipt
}

func dropLater(t testing.TB, database string) {
	t.Helper()
	maintenance := postgrestest.ForTest(t).DSN(pg.Maintenance)
	t.Cleanup(func() { execute(t, maintenance, "drop database if exists "+quoted(database)+" with (force)") })
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// opened lets a test look into a staged or a replaced database.
func opened(t testing.TB, database string) redact.Secret {
	t.Helper()
	cluster := postgrestest.ForTest(t)
	execute(t, cluster.DSN(pg.Maintenance), "alter database "+quoted(database)+" allow_connections true")
	return cluster.DSN(database)
}

// databases lists the databases whose name begins with that of dsn's.
func databases(t testing.TB, dsn redact.Secret) []string {
	t.Helper()
	conn := connect(t, postgrestest.ForTest(t).DSN(pg.Maintenance))
	defer pg.Close(conn)
	var names []string
	err := conn.QueryRow(context.Background(),
		`select array_agg(datname::text order by datname) from pg_database where datname = $1 or starts_with(datname, $1 || '_')`, name(t, dsn)).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestStageKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	dropLater(t, name(t, dsn)+"_pre_run_7")
	tasktest.Conform(t, tasktest.Case{
		Spec:      stageSpec,
		Configure: func(config any) { *config.(*postgres.Stage) = *stage(dsn) },
		Secrets:   []string{password(t, dsn)},
	})
}

func TestStagedCopyHasEveryRowAndEveryProperty(t *testing.T) {
	t.Parallel()
	for _, method := range []postgres.Method{postgres.Template, postgres.Restore} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			dsn := database(t, awkward)
			live := name(t, dsn)
			owner, app := role(t, dsn, ""), role(t, dsn, "")
			execute(t, dsn, fmt.Sprintf(`
				alter database %[1]s owner to %[2]s;
				revoke all on database %[1]s from public; grant connect, create on database %[1]s to %[3]s with grant option;
				alter database %[1]s set search_path to "$user", public, "Odd ""one""";
				alter database %[1]s set statement_timeout to '30s'; alter database %[1]s set my.setting to 'it''s, "this"';
				alter role %[3]s in database %[1]s set work_mem to '5MB'; alter role %[3]s in database %[1]s set search_path to '';
				alter database %[1]s connection limit 17; comment on database %[1]s is 'wards'' medication'`, live, owner.role, app.role))
			s := stage(dsn)
			s.Method = method
			moment := ""
			if method == postgres.Restore {
				made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
				if err != nil {
					t.Fatal(err)
				}
				s.Backup, moment = made.File, made.Snapshot
			}
			receipt := staged(t, s, tasktest.Env(t))
			if receipt.Database != live+"_pre_run_7" || receipt.Live != live || receipt.Method != string(method) || receipt.Bytes == 0 || receipt.Tables != 13 {
				t.Errorf("receipt = %+v", receipt)
			}
			if moment != "" && receipt.Snapshot != moment || receipt.Snapshot == "" {
				t.Errorf("the copy holds the moment %s, want %s", receipt.Snapshot, moment)
			}
			if _, err := pg.Connect(t.Context(), postgrestest.ForTest(t).DSN(receipt.Database)); err == nil {
				t.Error("the copy is open")
			}
			if want, got := describeDatabase(t, live), describeDatabase(t, receipt.Database); want != got {
				t.Errorf("the copy is\n%s\nnot\n%s", got, want)
			}
			if d := pg.Differences(contents(t, dsn), contents(t, opened(t, receipt.Database))); len(d) > 0 {
				t.Error(strings.Join(d, "\n"))
			}
		})
	}
}

// describeDatabase is all that belongs to a database as a whole. The order of its
// grants says nothing.
func describeDatabase(t testing.TB, database string) string {
	t.Helper()
	return value[string](t, postgrestest.ForTest(t).DSN(pg.Maintenance), fmt.Sprintf(`
		select concat_ws(E'\n', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
		                 (select array_agg(item::text order by item::text) from unnest(datacl) item),
		                 shobj_description(oid, 'pg_database'),
		                 (select string_agg(setrole || ' ' || setconfig::text, E'\n' order by setrole) from pg_db_role_setting where setdatabase = d.oid))
		  from pg_database d where datname = '%s'`, database))
}

func TestStageWaitsUntilTheApplicationHasGone(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	app := connect(t, dsn)
	env := tasktest.Env(t)
	s := stage(dsn)
	s.Wait = 30 * time.Second
	type result struct {
		receipt postgres.StageReceipt
		err     error
	}
	ended := make(chan result)
	go func() {
		receipt, err := s.Run(t.Context(), env)
		ended <- result{receipt, err}
	}()
	if _, err := app.Exec(t.Context(), "insert into no_rows values (1), (2)"); err != nil {
		t.Errorf("the application was sent away: %v", err)
	}
	pg.Close(app)
	r := <-ended
	if r.err != nil {
		t.Fatal(r.err)
	}
	dropLater(t, r.receipt.Database)
	if n := value[int](t, opened(t, r.receipt.Database), "select count(*) from no_rows"); n != 2 {
		t.Errorf("the copy has %d of the 2 rows written before the application went", n)
	}
}

func TestStageSaysWhoIsConnectedAndEndsNobody(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	app := connect(t, dsn)
	defer pg.Close(app)
	if _, err := app.Exec(t.Context(), "set application_name = 'medlogistics-api'"); err != nil {
		t.Fatal(err)
	}
	_, err := stage(dsn).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, fmt.Sprintf(`for 500ms there was process %d of role postgres, application "medlogistics-api", from 127.0.0.1`, app.PgConn().PID()),
		"stop the application")
	if err := app.Ping(t.Context()); err != nil {
		t.Errorf("the application was sent away: %v", err)
	}
	if got := databases(t, dsn); len(got) != 1 {
		t.Errorf("left %q", got)
	}
}

func TestStageFallsBackOnTheBackupAndSaysWhy(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	app := connect(t, dsn)
	defer pg.Close(app)
	s := stage(dsn)
	s.Backup = made.File
	receipt := staged(t, s, tasktest.Env(t))
	if receipt.Method != string(postgres.Restore) || !strings.Contains(receipt.Why, "there was process ") {
		t.Errorf("receipt = %+v", receipt)
	}
	if err := app.Ping(t.Context()); err != nil {
		t.Errorf("the application was sent away: %v", err)
	}
}

func TestStageRefusesADamagedBackup(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	s := stage(dsn)
	s.Method, s.Backup = postgres.Restore, made.File
	flip(t, made.File, made.Bytes/2)
	if _, err := s.Run(t.Context(), tasktest.Env(t)); !errors.Is(err, postgres.ErrDamaged) {
		t.Errorf("error = %v", err)
	}
	if got := databases(t, dsn); len(got) != 1 {
		t.Errorf("left %q", got)
	}
}

func TestStageOfASecondStepGetsANameOfItsOwn(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	first, second := staged(t, stage(dsn), tasktest.Env(t)), staged(t, stage(dsn), tasktest.Env(t))
	if first.Database == second.Database {
		t.Errorf("both are %s", first.Database)
	}
}

func TestStageOfALongNameFits(t *testing.T) {
	t.Parallel()
	long := `Åsa "ward" ` + strings.Repeat("é", 26) // 63 bytes
	maintenance := postgrestest.ForTest(t).DSN(pg.Maintenance)
	execute(t, maintenance, "create database "+quoted(long))
	dropLater(t, long)
	receipt := staged(t, stage(postgrestest.ForTest(t).DSN(long)), tasktest.Env(t))
	if len(receipt.Database) > 63 || !strings.HasSuffix(receipt.Database, "_pre_run_7") {
		t.Errorf("the copy's name is %q", receipt.Database)
	}
}

func TestStageKilledAnywhereIsFinishedByTheNextCall(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (id int); insert into t values (1), (2)")
	file := filepath.Join(t.TempDir(), "saved")
	for at := 1; ; at++ {
		_ = os.Remove(file)
		w := &wire{at: at, after: at%2 == 0}
		finished := runKilled(t, w, newChild(t, "stage", "DSN="+w.tap(t, dsn).Reveal(), "SAVED="+file))
		env := tasktest.Env(t)
		env.Saved, _ = os.ReadFile(file)
		receipt, err := stage(dsn).Run(t.Context(), env)
		var skip *task.SkipError
		if receipt.Snapshot == "" || err != nil && !errors.As(err, &skip) {
			t.Fatalf("killed at request %d, then: %+v, %v", at, receipt, err)
		}
		if got := databases(t, dsn); len(got) != 2 || got[1] != receipt.Database {
			t.Fatalf("killed at request %d, then there are %q", at, got)
		}
		if n := value[int](t, opened(t, receipt.Database), "select count(*) from t"); n != 2 {
			t.Fatalf("killed at request %d, then the copy has %d rows", at, n)
		}
		execute(t, postgrestest.ForTest(t).DSN(pg.Maintenance), "drop database "+receipt.Database+" with (force)")
		if finished {
			t.Logf("killed at each of %d requests", at-1)
			return
		}
	}
}

func stageChild() {
	_, err := stage(redact.NewSecret(os.Getenv("DSN"))).Run(context.Background(), childEnv())
	say("ended:", err)
}

func TestStageConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	s := stage(redact.Secret{})
	s.Method = postgres.Restore
	wantError(t, s.Validate(), "no backup to restore", "postgres/backup")
	s = stage(redact.Secret{})
	s.Wait = -1
	wantError(t, s.Validate(), "wait is negative", "")
	var method postgres.Method
	wantError(t, method.UnmarshalText([]byte("copy")), "write auto, template or restore", "")
}

func TestStageRefusesARoleThatMayNot(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	app := role(t, dsn, "")
	err := stage(app.dsn).Check(t.Context(), tasktest.Env(t))
	wantError(t, err, "may not create or rename a database", "CREATEDB")
	wantError(t, err, "does not own the database, postgres does", "OWNER TO")
}

func TestStageWorksForAnOwnerWhoIsNoSuperuser(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	app := role(t, dsn, "createdb")
	execute(t, dsn, "alter database "+name(t, dsn)+" owner to "+app.role)
	execute(t, app.dsn, "create table t (id int)")
	staged(t, stage(app.dsn), tasktest.Env(t))
}
