package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func TestTheTasksKeepTheContract(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Look("schema/rehearse", rehearsal()),
		Configure: func(config any) {
			c := config.(*schema.Rehearse)
			c.DSN, c.Dir = dsn, dir
		},
		Secrets: []string{dsn.Reveal()},
	})
	tasktest.Conform(t, tasktest.Case{
		Spec: applySpec(),
		Configure: func(config any) {
			c := config.(*schema.Apply)
			c.DSN, c.Dir = dsn, dir
		},
		Secrets: []string{dsn.Reveal()},
	})
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Look("schema/status", &schema.Status{}),
		Configure: func(config any) {
			c := config.(*schema.Status)
			c.DSN, c.Dir = dsn, dir
		},
		Secrets: []string{dsn.Reveal()},
	})
}

func TestPendingMigrationsAreAppliedInOrderAndOnce(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	if s := status(t, dsn, dir, ""); s.Version != "" || s.Latest != "3" || s.Pending != 3 || s.Applied != 0 {
		t.Errorf("before: %+v", s)
	}
	first := apply(dsn, dir)
	first.To = "2"
	r := mustApply(t, first)
	if r.From != "" || r.To != "2" || r.Applied != 2 || r.Pending != 1 || !slices.Equal(r.Versions, []string{"1", "2"}) {
		t.Errorf("to version 2: %+v", r)
	}
	r = mustApply(t, apply(dsn, dir))
	if r.From != "2" || r.To != "3" || r.Applied != 1 || r.Pending != 0 || r.DurationMS < 0 {
		t.Errorf("to the newest: %+v", r)
	}
	r, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if !isSkip(err) || r.From != "3" || r.To != "3" || r.Applied != 0 || r.Versions == nil {
		t.Errorf("again: %+v, %v", r, err)
	}
	if s := status(t, dsn, dir, ""); s.Version != "3" || s.Pending != 0 || s.Applied != 3 || s.Versions == nil {
		t.Errorf("after: %+v", s)
	}
}

func TestLookingWritesNothing(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	do(t, dsn, "create table wards (id int primary key, name text not null)")
	status(t, dsn, dir, "1")
	a := apply(dsn, dir)
	a.Baseline = "1"
	if err := a.Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Fatal(err)
	}
	if hasTable(t, dsn, "atlas_schema_revisions.atlas_schema_revisions") {
		t.Error("a look made the table of revisions")
	}
}

func TestTheBaselineIsTakenForGivenInADatabaseWithTables(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	if err := medlogistics.Seed(t.Context(), dsn, 50); err != nil {
		t.Fatal(err)
	}
	a := apply(dsn, "../../schema")
	a.Baseline = "20260101000000"
	if s := status(t, dsn, a.Dir, a.Baseline); s.Version != a.Baseline || s.Pending != 2 {
		t.Errorf("before: %+v", s)
	}
	a.To = "20261101000000"
	r := mustApply(t, a)
	if r.From != a.Baseline || r.To != "20261101000000" || r.Baseline != a.Baseline || !slices.Equal(r.Versions, []string{"20261101000000"}) {
		t.Errorf("receipt %+v", r)
	}
	if !hasTable(t, dsn, "user_ward_permissions") || query[int](t, dsn, "select count(*) from users where auth0_user_id is null") != 50 {
		t.Error("the schema is not as after the cut-over")
	}
	if r, err := a.Run(t.Context(), tasktest.Env(t)); !isSkip(err) || r.Baseline != "" {
		t.Errorf("again: %+v, %v", r, err)
	}
}

func TestTheBaselineIsAMigrationLikeAnyOtherInAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	a := apply(dsn, "../../schema")
	a.Baseline = "20260101000000"
	if r := mustApply(t, a); r.From != "" || r.Applied != 3 || r.Baseline != "" {
		t.Errorf("receipt %+v", r)
	}
}

func TestADatabaseWithTablesAndNoHistoryNeedsABaseline(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	do(t, dsn, "create table wards (id int primary key, name text not null)")
	_, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "has tables but no history")
	if !strings.Contains(task.HintOf(err), "1, 2, 3") {
		t.Errorf("hint %q", task.HintOf(err))
	}
	a := apply(dsn, dir)
	a.Baseline = "7"
	if err := a.Check(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "baseline 7 is not among") {
		t.Errorf("error %v", err)
	}
	a.Baseline, a.To = "1", "8"
	if err := a.Check(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "to: version 8 is not among") {
		t.Errorf("error %v", err)
	}
}

func TestAFolderThatDoesNotFitItsSumIsRefused(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"edited": {func(t *testing.T, dir string) { add(t, dir, "2_beds.sql", "drop table wards;") }, "2_beds.sql was edited after atlas.sum"},
		"added":  {func(t *testing.T, dir string) { add(t, dir, "4_new.sql", "select 1;") }, "4_new.sql was added after atlas.sum"},
		"removed": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "2_beds.sql")); err != nil {
				t.Fatal(err)
			}
		}, "2_beds.sql was removed after atlas.sum"},
		"without a sum": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "atlas.sum")); err != nil {
				t.Fatal(err)
			}
		}, "have no atlas.sum"},
		"damaged sum": {func(t *testing.T, dir string) { add(t, dir, "atlas.sum", "4_new.sql h1:abc\n") }, "atlas.sum does not fit itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := wards(t)
			c.change(t, string(dir))
			err := apply(dsn, dir).Check(t.Context(), tasktest.Env(t))
			fails(t, err, c.want)
			_, err = apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
			fails(t, err, c.want)
		})
	}
	for name, dir := range map[string]task.Path{"absent": "no/such/folder", "empty": task.Path(t.TempDir())} {
		if err := apply(dsn, dir).Check(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), string(dir)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func add(t testing.TB, dir, name, text string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTheFilesOfAFolderBelongToThePlan(t *testing.T) {
	t.Parallel()
	dir := wards(t)
	var names []string
	for _, file := range apply(redact.Secret{}, dir).Files() {
		names = append(names, filepath.Base(file))
	}
	if want := []string{"1_wards.sql", "2_beds.sql", "3_floor.sql", "atlas.sum"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestAFailingStatementIsNamedByItsLineAndNothingOfItsFileRemains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sql string
		line      string
		parts     []string
	}{
		{
			"a wrong name", "create table a (id int);\n\n-- Größe: µm\nalter table a\n  add column b int,\n  add column c nosuchtype;\n",
			"2_bad.sql:6:",
			[]string{`type "nosuchtype" does not exist (SQLSTATE 42704)`, "in: alter table a add column b int"},
		},
		{"a syntax error", "create table a (id int);\nselect 'ä', 'ö'\n  frm frm wards;\n", "2_bad.sql:3:", []string{"SQLSTATE 42601"}},
		{
			"in a function body", "create function f() returns int language plpgsql as $$\nbegin\n  retrun 1;\nend $$;\n",
			"2_bad.sql:3:",
			[]string{"SQLSTATE 42601"},
		},
		{
			"a duplicate, without the row", "\ninsert into people values ('n.doe@ward.example');\ncreate unique index on people (email);\n",
			"2_bad.sql:3:",
			[]string{"SQLSTATE 23505"},
		},
		{"a value, without the value", "alter table people alter column email type int using email::int;\n", "2_bad.sql:1:", []string{"SQLSTATE 22P02"}},
		{"not in a transaction", "create index concurrently on people (email);\n", "2_bad.sql:1:", []string{"SQLSTATE 25001"}},
		{"a new enum value used", "alter type kind add value 'c';\ninsert into kinds values ('c');\n", "2_bad.sql:2:", []string{"SQLSTATE 55P04"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			dir := write(t,
				"1_people.sql", "create table people (email text);\ninsert into people values ('n.doe@ward.example');\n"+
					"create type kind as enum ('a', 'b');\ncreate table kinds (kind kind);\n",
				"2_bad.sql", c.sql)
			r, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
			fails(t, err, append(c.parts, filepath.Join(string(dir), c.line))...)
			if strings.Contains(err.Error(), "n.doe@") && c.name != "a duplicate, without the row" || strings.Contains(err.Error(), "Key (email)") {
				t.Errorf("a person is in the error: %v", err)
			}
			if r.From != "" || r.To != "1" || r.Applied != 1 || r.Pending != 1 {
				t.Errorf("receipt %+v", r)
			}
			if hasTable(t, dsn, "a") || query[int](t, dsn, "select count(*) from people") != 1 {
				t.Error("half a migration remains")
			}
			if s := status(t, dsn, dir, ""); s.Version != "1" || s.Partial != "" {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestAnUnreachableDatabaseIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	dir := wards(t)
	unreachable := redact.NewSecret("postgres://app:pa55word@127.0.0.1:1/medlogistics?connect_timeout=2")
	for name, run := range map[string]func() error{
		"apply":  func() error { _, err := apply(unreachable, dir).Run(t.Context(), tasktest.Env(t)); return err },
		"check":  func() error { return apply(unreachable, dir).Check(t.Context(), tasktest.Env(t)) },
		"status": func() error { return (&schema.Status{DSN: unreachable, Dir: dir}).Check(t.Context(), tasktest.Env(t)) },
		"absent": func() error {
			absent := redact.NewSecret(strings.Replace(postgrestest.Database(t).Reveal(), "/test_", "/absent_", 1))
			return apply(absent, dir).Check(t.Context(), tasktest.Env(t))
		},
	} {
		err := run()
		fails(t, err, "connect to database")
		if strings.Contains(err.Error(), "pa55word") || strings.Contains(err.Error(), "postgres://") {
			t.Errorf("%s: a secret in %v", name, err)
		}
	}
}

func TestAnAccountThatMayNotRecordIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	cluster := postgrestest.ForTest(t)
	do(t, dsn, "create role reader login password 'pa55word-of-reader'")
	reader := cluster.RoleDSN("reader", "pa55word-of-reader", query[string](t, dsn, "select current_database()"))
	fails(t, apply(reader, dir).Check(t.Context(), tasktest.Env(t)), "may not record migrations")
}

func TestHistoriesThatDoNotFitTheFolderAreRefused(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	mustApply(t, apply(dsn, dir))
	older := write(t, "1_wards.sql", "create table wards (id int primary key, name text not null);\n")
	_, err := apply(dsn, older).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "the database is at version 3, which is not among the migrations")
	add(t, string(dir), "2a_late.sql", "select 1;\n")
	hash(t, string(dir))
	_, err = apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2a_late.sql was added behind versions that are applied already")
}

func TestImpossibleLimitsAreRefused(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]schema.Apply{
		"no lock timeout":              {LockTries: 1},
		"no tries":                     {LockTimeout: time.Second},
		"a statement timeout below it": {LockTimeout: time.Second, LockTries: 1, StatementTimeout: -1},
	} {
		if a.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
