package postgres_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	cluster "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// everything is a database with one of each kind of object.
const everything = awkward + `;
	create role "a nurse"; create role keeper;
	create index by_note on users (lower(note)) where note is not null;
	alter table users add constraint named check (email <> '');
	create function greet(text) returns text language sql as 'select ''hello '' || $1';
	create function touch() returns trigger language plpgsql as 'begin return new; end';
	create trigger touched before update on users for each row execute function touch();
	create view nurses as select * from users where role = 'nurse';
	create aggregate total(int) (sfunc = int4pl, stype = int);
	create domain positive as int check (value > 0);
	create policy own on orders to "a nurse" using (true);
	create rule none as on delete to no_rows do instead nothing;
	create statistics pairs on id, what from orders;
	create publication feed for table users; create publication chosen for table orders (id, what) where (id > 5);
	create extension hstore;
	create event trigger watch on ddl_command_end execute function watched();
	alter table orders owner to keeper;
	grant select (email), update (note) on users to "a nurse"; grant execute on function greet(text) to keeper with grant option;
	alter default privileges grant select on tables to keeper;
	comment on table users is 'who works here'; comment on schema other is 'another';
	create foreign data wrapper far; create server remote foreign data wrapper far options (dbname 'app'); create user mapping for keeper server remote;
	alter table parted cluster on parted_key;
	select lo_from_bytea(0, decode(repeat('ab', 100000), 'hex')) from generate_series(1, 70);
	select setval('orders_id_seq', 7000)`

// makeEverything makes such a database. What belongs to it as a whole is set here.
func makeEverything(t testing.TB) redact.Secret {
	t.Helper()
	sql := strings.NewReplacer(
		"create event trigger", "create function watched() returns event_trigger language plpgsql as 'begin end'; create event trigger",
		"alter table parted cluster on parted_key;", "",
	).Replace(everything)
	dsn := database(t, "drop role if exists \"a nurse\", keeper")
	t.Cleanup(func() { execute(t, dsn, `drop owned by "a nurse", keeper cascade; drop role "a nurse", keeper`) })
	execute(t, dsn, sql)
	execute(t, dsn, fmt.Sprintf(`alter database %[1]s set timezone to 'Europe/Berlin'; alter role keeper in database %[1]s set work_mem to '8MB';
		comment on database %[1]s is 'of the wards'; alter database %[1]s connection limit 70; grant create on database %[1]s to keeper`, name(t, dsn)))
	return dsn
}

// throwaway starts a server for one test.
func throwaway(t testing.TB) *cluster.Cluster {
	t.Helper()
	server, err := cluster.Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

func restored(t testing.TB, file string, server *cluster.Cluster) (postgres.Restored, error) {
	t.Helper()
	return postgres.VerifyRestored(t.Context(), file, postgres.Proof{Progress: func(int64, int64) {}}, server.DSN)
}

// TestBackupIsRestoredWithEverything holds, too, that whatever a dump leaves out
// is found: archives that lack something are put in the good one's place.
func TestBackupIsRestoredWithEverything(t *testing.T) {
	t.Parallel()
	dsn := makeEverything(t)
	good, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	server := throwaway(t)
	r, err := restored(t, good.File, server)
	if err != nil || !r.Proven {
		t.Fatalf("proven %v, %v", r.Proven, err)
	}
	for kind, least := range map[string]int{
		"index": 4, "constraint": 5, "function": 4, "trigger": 1, "extension": 2, "comment": 2, "setting": 2, "view": 2, "type": 2,
		"policy": 1, "rule": 1, "statistics": 1, "publication": 1, "event trigger": 1, "foreign server": 1, "user mapping": 1, "default privileges": 1, "database": 1, "sequence": 1, "table": 8, "column": 10,
	} {
		if r.Kinds[kind] < least {
			t.Errorf("%d objects of kind %s were compared, want %d", r.Kinds[kind], kind, least)
		}
	}
	if _, err := restored(t, good.File, server); err == nil || !strings.Contains(err.Error(), "not there for this alone") {
		t.Errorf("a server with a database of its own: %v", err)
	}
	// Archives that are whole, but of a database in which much is otherwise.
	maintenance, kept := postgrestest.ForTest(t).DSN(pg.Maintenance), name(t, dsn)+"_kept"
	execute(t, maintenance, "create database "+kept+" template "+name(t, dsn))
	t.Cleanup(func() { execute(t, maintenance, "drop database "+kept) })
	execute(t, server.DSN("postgres"), "drop database "+name(t, dsn))
	findsForged(t, dsn, good, server, map[string]string{
		"alter table orders owner to postgres":                         "table public.orders is another, or has another owner",
		"drop index by_note":                                           "index public.by_note is missing",
		"create index too_many on users (at)":                          "index public.too_many should not be there",
		"alter table users drop constraint named":                      "constraint named on public.users is missing",
		"alter function greet(text) stable":                            "function public.greet(text) is another",
		"alter table users disable trigger touched":                    "trigger touched on public.users is another",
		"drop extension hstore":                                        "extension hstore is missing",
		"revoke execute on function greet(text) from keeper":           "function public.greet(text) is another",
		"revoke update (note) on users from \"a nurse\"":               "column public.users.note is another",
		"comment on table users is 'somebody'":                         "comment on table public.users is another",
		"alter role keeper in database {database} reset work_mem":      "setting work_mem of keeper is missing",
		"alter database {database} connection limit 71":                "database itself is another",
		"select setval('orders_id_seq', 7001)":                         "sequence public.orders_id_seq stands at 7001, not at 7000",
		"select lo_put(min(oid), 0, 'b') from pg_largeobject_metadata": "71 large objects, as many as there should be, but of other content",
		"update orders set what = 'y' where id = 1":                    `table "public"."orders" has the right number of rows, 2000, but other content`,
		"delete from other.users":                                      `table "other"."users" has 0 rows, not 1`,
		"drop policy own on orders":                                    "policy own on public.orders is missing",
		"alter default privileges revoke select on tables from keeper": "default privileges postgres",
		"alter type userrole add value 'pharmacist'":                   "type public.userrole is another",
	})
	execute(t, maintenance, "drop database "+name(t, dsn)+" with (force)")
	execute(t, maintenance, "create database "+name(t, dsn)+" template "+kept)
	execute(t, server.DSN("postgres"), "drop database "+name(t, dsn))
	findsForged(t, dsn, good, server, map[string]string{
		"create or replace view nurses as select * from users where role = 'doctor'": "view public.nurses is another",
		"drop rule none on no_rows":                                                                 `rule "none" on public.no_rows is missing`,
		"alter event trigger watch disable":                                                         "event trigger watch is another",
		"alter publication feed add table orders":                                                   "publication feed is another",
		"alter publication chosen set table orders (id, user_id) where (id > 5)":                    "publication chosen is another",
		"drop statistics pairs":                                                                     "statistics public.pairs is missing",
		"grant usage on schema other to keeper":                                                     "schema other is another",
		"alter server remote options (add host 'elsewhere')":                                        "foreign server remote is another",
		"drop user mapping for keeper server remote":                                                "user mapping keeper at remote is missing",
		"alter foreign data wrapper far options (add a 'b')":                                        "foreign data wrapper far is another",
		"drop aggregate total(int)":                                                                 "function public.total(integer) is missing",
		"alter domain positive set not null":                                                        "type public.positive is another",
		"drop materialized view counted":                                                            "view public.counted is missing",
		"create text search configuration found (parser = default)":                                 "other object text search configuration public.found should not be there",
		"select lo_unlink(max(oid)) from pg_largeobject_metadata; select lo_from_bytea(1, 'other')": "large objects, as many as there should be, but of other content",
		`do $$ begin execute format('grant select on large object %s to keeper', (select max(oid) from pg_largeobject_metadata)); end $$`: "privileges on large objects all is another",
	})
}

// findsForged changes a database by the statements, and holds that an archive of it in
// the good one's place is found out for each of them.
func findsForged(t *testing.T, dsn redact.Secret, good postgres.BackupReceipt, server *cluster.Cluster, want map[string]string) {
	t.Helper()
	for sql := range want {
		execute(t, dsn, strings.ReplaceAll(sql, "{database}", name(t, dsn)))
	}
	_, err := restored(t, forge(t, dsn, good), server)
	if !errors.Is(err, postgres.ErrDiffers) {
		t.Fatal(err)
	}
	for sql, want := range want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
}

// forge puts an archive of the database as it is now where a backup lies, with the good
// one's metadata but for what belongs to the file.
func forge(t testing.TB, dsn redact.Secret, good postgres.BackupReceipt) (file string) {
	t.Helper()
	dump, err := pg.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var raw, packed bytes.Buffer
	err = command.Command{Argv: []string{dump, "--format=custom", "--compress=0"}, Env: env, Stdout: &raw}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.WriteTo(to); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), filepath.Base(good.File))
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	metadata, err := os.ReadFile(good.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(metadata), good.SHA256, fmt.Sprintf("%x", sha256.Sum256(packed.Bytes())), 1)
	text = regexp.MustCompile(`"bytes": \d+,\n  "archive_bytes"`).ReplaceAllString(text, fmt.Sprintf("\"bytes\": %d,\n  \"archive_bytes\"", packed.Len()))
	writeSealed(t, file+".json", text)
	return file
}
