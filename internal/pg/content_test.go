package pg_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// awkward is a schema of everything that makes reading a table difficult.
const awkward = `
	create type mood as enum ('sad', 'happy');
	create table plain (id int primary key, name text, mood mood, at timestamptz, took interval, ratio float8, data bytea, doc jsonb);
	insert into plain select i, E'tab\t newline\n back\\slash ' || i, 'happy', timestamptz '2026-03-29 01:30+01' + i * interval '1 hour',
	       i * interval '1 day 3 seconds', i / 3.0, decode('00ff0a5c', 'hex'), jsonb_build_object('n', i) from generate_series(1, 500) i;
	insert into plain (id) values (0);
	create table no_rows (id int);
	create table no_columns ();
	insert into no_columns default values; insert into no_columns default values;
	create table without_key (v text); insert into without_key values ('twice'), ('twice'), (null), ('');
	create table "Odd Name (a)" ("a ""b""" int, "from" int, dropped int, made int generated always as ("from" * 2) stored);
	alter table "Odd Name (a)" drop column dropped;
	insert into "Odd Name (a)" values (1, 2);
	create table parted (id int, v text) partition by range (id);
	create table parted_low partition of parted for values from (0) to (100);
	create table parted_high partition of parted for values from (100) to (200);
	insert into parted select i, 'v' || i from generate_series(0, 199) i;
	create table parent (id int); create table child (more text) inherits (parent);
	insert into parent values (1); insert into child values (2, 'x');
	create schema "Other"; create table "Other"."T" (id int); insert into "Other"."T" values (1);
	create unlogged table unlogged_one (id int); insert into unlogged_one values (1);
	create view a_view as select * from plain; create materialized view a_matview as select id from plain;
	create temp table temporary_one (id int)`

func TestContentsReadsEveryTableThatADumpHolds(t *testing.T) {
	t.Parallel()
	conn := connect(t, postgrestest.Database(t))
	runSQL(t, conn, awkward)
	tables := contents(t, conn)
	got := map[string]int64{}
	for _, table := range tables {
		got[table.String()] = table.Rows
	}
	want := map[string]int64{
		`"public"."plain"`: 501, `"public"."no_rows"`: 0, `"public"."no_columns"`: 2, `"public"."without_key"`: 4,
		`"public"."Odd Name (a)"`: 1, `"public"."parted_low"`: 100, `"public"."parted_high"`: 100,
		`"public"."parent"`: 1, `"public"."child"`: 1, `"Other"."T"`: 1, `"public"."unlogged_one"`: 1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tables = %v\nwant     %v", got, want)
	}
	odd := tables[slices.IndexFunc(tables, func(t pg.Table) bool { return t.Name == "Odd Name (a)" })]
	if fmt.Sprintf("%q", odd.Columns) != `["a \"b\"" "from"]` {
		t.Errorf("columns of %s = %q: dropped and generated ones belong out", odd, odd.Columns)
	}
}

func TestContentsDoesNotDependOnSettings(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	conn := connect(t, dsn)
	runSQL(t, conn, awkward)
	before := contents(t, conn)
	for _, setting := range []string{
		"timezone = 'America/St_Johns'", "datestyle = 'German'", "intervalstyle = 'iso_8601'", "extra_float_digits = -15",
		"bytea_output = 'escape'", "client_encoding = 'LATIN1'", "search_path = '\"Other\"'",
	} {
		runSQL(t, conn, fmt.Sprintf("alter database %s set %s", conn.Config().Database, setting))
	}
	if d := pg.Differences(before, contents(t, connect(t, dsn))); len(d) > 0 {
		t.Error(strings.Join(d, "\n"))
	}
}

func TestDifferencesFindWhateverChanged(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ change, want string }{
		"one value":       {"update plain set doc = '{}' where id = 7", `table "public"."plain" has the right number of rows, 501, but other content`},
		"null and empty":  {"update without_key set v = '' where v is null", `table "public"."without_key" has the right number of rows, 4, but other content`},
		"a row less":      {"delete from parted where id = 150", `table "public"."parted_high" has 99 rows, not 100`},
		"twice once":      {"update without_key set v = 'thrice' where ctid in (select ctid from without_key where v = 'twice')", `but other content`},
		"a table less":    {"drop table child", `table "public"."child" is missing`},
		"a table more":    {"create table fresh (id int)", `table "public"."fresh" should not be there`},
		"a column more":   {"alter table no_rows add auth0_user_id text", `table "public"."no_rows" has the columns id, auth0_user_id, not id`},
		"nothing at all":  {"vacuum full plain", ""},
		"only the moment": {"update plain set at = at + interval '1 microsecond' where id = 1", "other content"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, postgrestest.Database(t))
			runSQL(t, conn, awkward)
			before := contents(t, conn)
			runSQL(t, conn, c.change)
			got := pg.Differences(before, contents(t, conn))
			if c.want == "" {
				if len(got) > 0 {
					t.Errorf("found %q where nothing changed", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestSnapshotShowsOneMomentToEverySession(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	conn := connect(t, dsn)
	runSQL(t, conn, awkward)
	before := contents(t, conn)
	snapshot := openSnapshot(t, dsn)
	runSQL(t, conn, "delete from plain where id > 100")
	tables, err := pg.Tables(t.Context(), snapshot.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Read(t.Context(), tables, 3, pg.Sum); err != nil {
		t.Fatal(err)
	}
	if d := pg.Differences(before, tables); len(d) > 0 {
		t.Error(strings.Join(d, "\n"))
	}
	counted := slices.Clone(tables)
	if err := snapshot.Read(t.Context(), counted, 1, pg.Count); err != nil {
		t.Fatal(err)
	}
	if d := pg.Differences(before, counted); len(d) > 0 {
		t.Errorf("counted: %s", strings.Join(d, "\n"))
	}
}

func TestSnapshotOutlivesTheDatabasesTimeLimits(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	conn := connect(t, dsn)
	runSQL(t, conn, "create table t (id int)")
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		runSQL(t, conn, fmt.Sprintf("alter database %s set %s = '300ms'", conn.Config().Database, limit))
	}
	snapshot := openSnapshot(t, dsn)
	runSQL(t, connect(t, dsn), "set statement_timeout = 0; select pg_sleep(0.6)")
	tables, err := pg.Tables(t.Context(), snapshot.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Read(t.Context(), tables, 1, pg.Sum); err != nil {
		t.Error(err)
	}
}

func TestSnapshotReadReportsTheFirstFailureAndStops(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	runSQL(t, connect(t, dsn), awkward)
	snapshot := openSnapshot(t, dsn)
	tables, err := pg.Tables(t.Context(), snapshot.Conn())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = snapshot.Read(t.Context(), tables, 2, func(ctx context.Context, conn *pgx.Conn, table *pg.Table) error {
		if table.Name == "parent" {
			return broken
		}
		return pg.Sum(ctx, conn, table)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
}

func TestRowsThatRowSecurityHidesFailInsteadOfMissing(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	conn := connect(t, dsn)
	role := "hidden_" + conn.Config().Database
	runSQL(t, conn, fmt.Sprintf(`
		create role %[1]s login password 'secret-of-the-role';
		create table wards (id int); insert into wards values (1), (2); grant select on wards to %[1]s;
		alter table wards enable row level security; create policy one on wards using (id = 1)`, role))
	defer runSQL(t, conn, fmt.Sprintf("drop owned by %[1]s; drop role %[1]s", role))
	other := connect(t, redact.NewSecret(asRole(t, dsn, role, "secret-of-the-role")))
	if _, err := pg.Contents(t.Context(), other); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("error = %v", err)
	}
}

func TestContentsReadsDatabasesOfOtherEncodings(t *testing.T) {
	t.Parallel()
	maintenance := connect(t, postgrestest.ForTest(t).DSN(pg.Maintenance))
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		name := "encoding_" + strings.ToLower(encoding)
		runSQL(t, maintenance, fmt.Sprintf("create database %s template template0 encoding '%s' locale 'C'", name, encoding))
		defer runSQL(t, maintenance, "drop database "+name+" with (force)")
		conn := connect(t, postgrestest.ForTest(t).DSN(name))
		runSQL(t, conn, "create table t (v text); insert into t values (convert_from('\\xe5'::bytea, 'LATIN1'))")
		if tables := contents(t, conn); len(tables) != 1 || tables[0].Rows != 1 {
			t.Errorf("%s: %v", encoding, tables)
		}
	}
}

func TestTablesListsOneThatIsDroppedMeanwhile(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	reader, other := connect(t, dsn), connect(t, dsn)
	runSQL(t, other, "create table leaves (id int); create table stays (id int)")
	if err := pg.BeginRead(t.Context(), reader, time.Minute); err != nil {
		t.Fatal(err)
	}
	runSQL(t, reader, "select 1 from pg_class limit 1") // the moment that the transaction sees
	runSQL(t, other, "drop table leaves")
	tables, err := pg.Tables(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != 2 || tables[0].Name != "leaves" || tables[0].Bytes != 0 {
		t.Errorf("tables = %+v", tables)
	}
}

func contents(t *testing.T, conn *pgx.Conn) []pg.Table {
	t.Helper()
	tables, err := pg.Contents(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func openSnapshot(t *testing.T, dsn redact.Secret) *pg.Snapshot {
	t.Helper()
	snapshot, err := pg.OpenSnapshot(t.Context(), dsn, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(snapshot.Close)
	return snapshot
}
