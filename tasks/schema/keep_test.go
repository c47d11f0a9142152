package schema_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// grown is a database at version 2, whose migration can be taken back.
func grown(t testing.TB, up, down string) (redact.Secret, task.Path, []string) {
	t.Helper()
	dsn := postgrestest.Database(t)
	dir := withDown(t, write(t, "1_wards.sql", "create table wards (id int primary key, name text);\n", "2_more.sql", up), "2_more.sql", down)
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	return dsn, dir, proofs(t, dsn, dir)
}

func TestValuesAreKeptAsADumpPrintsThem(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t,
		"create schema other;\nalter table wards add column size float8, add column seen timestamptz;\n",
		"set search_path to public, other;\nalter table wards drop column size, drop column seen;\ndrop schema other;\n")
	do(t, dsn, "insert into wards values (1, 'A1', 0.1234567890123456, '2026-03-04 05:06:07+00')")
	do(t, dsn, `do $$ begin
		execute format('alter database %I set extra_float_digits = -5', current_database());
		execute format('alter database %I set datestyle = %L', current_database(), 'SQL, DMY');
	end $$`)
	r, err := revert(dsn, dir, "1", proven).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r, map[string]string{"public.wards": "id,size,seen\n1,0.1234567890123456,2026-03-04 05:06:07+00\n"})
}

func TestRowsThatAPolicyHidesAreNotLost(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t, "create table visits (id int);\n", "drop table visits;\n")
	do(t, dsn, `insert into visits values (1);
		alter table visits enable row level security, force row level security;
		create policy nobody on visits using (false);
		create role visitor login password 'pa55word-of-visitor';
		grant all on schema public, atlas_schema_revisions to visitor;
		grant all on all tables in schema public, atlas_schema_revisions to visitor;
		alter table visits owner to visitor`)
	visitor := postgrestest.ForTest(t).RoleDSN("visitor", "pa55word-of-visitor", query[string](t, dsn, "select current_database()"))
	_, err := revert(visitor, dir, "1", proven).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "keep the rows that go", "row-level security policy")
	if n := query[int](t, dsn, "select count(*) from visits"); n != 1 {
		t.Errorf("%d rows are left", n)
	}
}

func TestNoFileOfKeptRowsTakesThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t,
		`create schema a; create schema "a.b"; create table a."b.c" (id int); create table "a.b".c (id int);`+"\n",
		`drop table a."b.c"; drop table "a.b".c; drop schema a; drop schema "a.b";`+"\n")
	env := tasktest.Env(t)
	back := func() schema.Reverted {
		t.Helper()
		do(t, dsn, `insert into a."b.c" values (1); insert into "a.b".c values (2)`)
		r, err := revert(dsn, dir, "1", proven).Run(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := back()
	mustApply(t, apply(dsn, dir))
	second := back()
	for _, r := range []schema.Reverted{first, second} {
		for file, want := range map[string]string{"a.b%2Ec.csv": "id\n1\n", "a%2Eb.c.csv": "id\n2\n"} {
			got, err := os.ReadFile(filepath.Join(filepath.Dir(r.Kept), file))
			if err != nil || string(got) != want {
				t.Errorf("%s of %s: %q, %v", file, r.Kept, got, err)
			}
		}
	}
}

func TestAValueOfWhichAPartIsNullIsKept(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t, "create type addr as (street text, town text);\nalter table wards add column home addr;\n",
		"alter table wards drop column home;\ndrop type addr;\n")
	do(t, dsn, "insert into wards values (1, 'A1', row('Main St', null)), (2, 'B2', row(null, null)), (3, 'C3', null)")
	r, err := revert(dsn, dir, "1", proven).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r, map[string]string{"public.wards": "id,home\n1,\"(\"\"Main St\"\",)\"\n2,\"(,)\"\n"})
}

func TestWhatIsCommittedWhileARevertWaitsIsKept(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t, "create table beds (id int);\n", "drop table beds;\n")
	do(t, dsn, `do $$ begin
		execute format('alter database %I set default_transaction_isolation = serializable', current_database());
	end $$`)
	writer := connect(t, dsn)
	if _, err := writer.Exec(t.Context(), "begin; insert into beds values (7)"); err != nil {
		t.Fatal(err)
	}
	r := revert(dsn, dir, "1", proven)
	r.LockTimeout = 15 * time.Second
	var receipt schema.Reverted
	done := make(chan error, 1)
	go func() {
		var err error
		receipt, err = r.Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	eventually(t, "it waits for the writer", func() bool {
		return query[bool](t, dsn, "select exists (select from pg_locks where not granted and relation = 'beds'::regclass)")
	})
	if _, err := writer.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	holds(t, receipt, map[string]string{"public.beds": "id\n7\n"})
}

func TestValuesThatGetAnotherTypeAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ up, down string }{
		"a shorter one": {"alter table wards alter column name type varchar(9);\n", "alter table wards alter column name type varchar(5) using left(name, 5);\n"},
		"another":       {"alter table wards alter column name type text;\n", "alter table wards alter column name type varchar(5) using left(name, 5);\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			dir := withDown(t, write(t, "1_wards.sql", "create table wards (id int primary key, name varchar(5));\n", "2_more.sql", c.up), "2_more.sql", c.down)
			proven := proofs(t, dsn, dir)
			do(t, dsn, "insert into wards values (1, 'Ward 9 3/'), (2, null)")
			r, err := revert(dsn, dir, "1", proven).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			holds(t, r, map[string]string{"public.wards": "id,name\n1,Ward 9 3/\n"})
		})
	}
}

func TestReadersGoOnWhileRowsAreKeptAndMayThenWrite(t *testing.T) {
	t.Parallel()
	dsn, dir, proven := grown(t, "create table beds (id int, note text);\n", "drop table beds;\n")
	do(t, dsn, "insert into beds select i, repeat('x', 100) from generate_series(1, 400000) i")
	app, look := connect(t, dsn), connect(t, dsn)
	var receipt schema.Reverted
	done := make(chan error, 1)
	go func() {
		var err error
		receipt, err = revert(dsn, dir, "1", proven).Run(t.Context(), tasktest.Env(t))
		done <- err
	}()
	const shut = "select exists (select from pg_locks where granted and mode = 'ShareRowExclusiveLock' and relation = to_regclass('beds'))"
	eventually(t, "writers are shut out", func() bool {
		var is bool
		err := look.QueryRow(t.Context(), shut).Scan(&is)
		return err == nil && is
	})
	if _, err := app.Exec(t.Context(), "set lock_timeout = '20ms'; begin; select id from beds limit 1; set lock_timeout = 0"); err != nil {
		t.Fatalf("a reader waits: %v", err)
	}
	if _, err := app.Exec(t.Context(), "insert into beds values (0, 'late'); commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || receipt.KeptRows != 400001 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}
