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
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func restoreInPlace(dsn redact.Secret, from postgres.BackupReceipt) *postgres.RestoreInPlace {
	r := restoreSpec.New().Config().(*postgres.RestoreInPlace)
	r.DSN, r.Backup, r.SHA256 = dsn, from.File, from.SHA256
	return r
}

// allOf describes a database to the last definition and large object.
func allOf(t testing.TB, dsn redact.Secret) string {
	t.Helper()
	conn, err := pg.ConnectSystem(context.Background(), dsn, "")
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(conn)
	objects, err := pg.Objects(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	large, err := pg.SumLarge(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	sequences, err := pg.Sequences(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintln(large.Count, large.Bytes, large.Hash, sequences)
	for _, table := range contents(t, dsn) {
		text += fmt.Sprintln(table, table.Rows, table.Hash)
	}
	for _, o := range objects {
		text += fmt.Sprintln(o)
	}
	return text
}

// unequal lists the lines in which two texts differ.
func unequal(a, b string) (list []string) {
	for line := range strings.Lines(a + b) {
		if !strings.Contains(a, line) || !strings.Contains(b, line) {
			list = append(list, line)
		}
	}
	return list
}

// beyond is what a migration can add beside tables.
const beyond = `;
	create schema extra; create table extra.t (id int references orders (id)); create view seen as select * from users;
	create type added as enum ('a'); create function extra_f() returns int language sql as 'select 1';
	create publication added for all tables; select lo_create(0); select lo_unlink(oid) from (select min(oid) as oid from pg_largeobject_metadata) m`

func TestRestoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (v text); insert into t values ('canary-value')")
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	tasktest.Conform(t, tasktest.Case{
		Spec:      restoreSpec,
		Configure: func(config any) { *config.(*postgres.RestoreInPlace) = *restoreInPlace(dsn, made) },
		Secrets:   []string{password(t, dsn), "canary-value"},
	})
}

func TestRestoreTakesBackWhatAMigrationHasAdded(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	before := allOf(t, dsn)
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	execute(t, dsn, migration+beyond)
	execute(t, dsn, fmt.Sprintf("alter database %s set work_mem to '8MB'", name(t, dsn)))
	changed := allOf(t, dsn)
	if changed == before {
		t.Fatal("the migration changed nothing")
	}
	user := connect(t, dsn)
	defer pg.Close(user)
	if _, err := user.Exec(t.Context(), "begin; select from orders"); err != nil {
		t.Fatal(err)
	}
	r := restoreInPlace(dsn, made)
	r.LockWait = 50 * time.Millisecond
	_, err = r.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "lock timeout", "stop whoever uses the database")
	pg.Close(user)
	if got := allOf(t, dsn); got != changed {
		t.Error("a restore that failed has changed something")
	}
	env := tasktest.Env(t)
	receipt, err := restoreInPlace(dsn, made).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, dsn, fmt.Sprintf("alter database %s reset work_mem", name(t, dsn))) // which is not of the restore
	if got := allOf(t, dsn); got != before {
		t.Errorf("after the restore: %s", strings.Join(unequal(got, before), "; "))
	}
	if receipt.Rows != made.Rows || receipt.Tables != made.Tables {
		t.Errorf("receipt = %+v", receipt)
	}
	execute(t, dsn, "create table later ()")
	var skip *task.SkipError
	if _, err := restoreInPlace(dsn, made).Run(t.Context(), env); !errors.As(err, &skip) {
		t.Errorf("a second call: %v", err)
	}
}

func TestRestoreTouchesNothingWhereTheBackupIsDamaged(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (v text); insert into t select md5(i::text) from generate_series(1, 1000) i")
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	execute(t, dsn, "delete from t")
	r := restoreInPlace(dsn, made)
	r.SHA256 = strings.Repeat("0", 64)
	_, err = r.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "has the SHA-256", "same step")
	flip(t, made.File, made.Bytes/2)
	if _, err = restoreInPlace(dsn, made).Run(t.Context(), tasktest.Env(t)); !errors.Is(err, postgres.ErrDamaged) {
		t.Errorf("a damaged backup: %v", err)
	}
	if n := value[int](t, dsn, "select count(*) from t"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// The process is killed at every request that has to do with the commit, and in a
// soak at every other one.
func TestRestoreKilledAnywhereLeavesOneOfTheTwo(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	before := allOf(t, dsn)
	made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []bool{false, true} {
		saved := filepath.Join(t.TempDir(), "saved")
		for at := 1; ; at++ {
			_ = os.Remove(saved)
			execute(t, dsn, migration)
			changed := allOf(t, dsn)
			w := &wire{at: at, after: after}
			finished := runKilled(t, w, newChild(t, "restore", "DSN="+w.tap(t, dsn).Reveal(), "FILE="+made.File, "SAVED="+saved))
			waitFor(t, func() bool { return !atWork(t, dsn) }) // the server notices a moment later that the process is gone
			got := allOf(t, dsn)
			if got != before && got != changed {
				t.Fatalf("killed at request %d, after=%v: neither of the two: %s", at, after, strings.Join(unequal(got, before), "; "))
			}
			env := tasktest.Env(t)
			env.Saved, _ = os.ReadFile(saved)
			_, err := restoreInPlace(dsn, made).Run(t.Context(), env)
			var skip *task.SkipError
			if skipped := errors.As(err, &skip); err != nil && !skipped || skipped != (got == before) {
				t.Errorf("killed at request %d, after=%v: the next call: %v", at, after, err)
			}
			if allOf(t, dsn) != before {
				t.Fatalf("killed at request %d, after=%v: not restored", at, after)
			}
			if finished {
				break
			}
		}
	}
}

// atWork tells whether phasegate has a session there.
func atWork(t testing.TB, dsn redact.Secret) bool {
	return value[bool](t, dsn, `select exists (select from pg_stat_activity
		where datname = current_database() and application_name = 'phasegate' and pid <> pg_backend_pid())`)
}

func restoreChild() {
	r := restoreSpec.New().Config().(*postgres.RestoreInPlace)
	r.DSN, r.Backup, r.LockWait = redact.NewSecret(os.Getenv("DSN")), os.Getenv("FILE"), 5*time.Second
	_, err := r.Run(context.Background(), childEnv())
	say("ended:", err)
}
