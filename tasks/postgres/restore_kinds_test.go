package postgres_test

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
)

// oneOfEachKind is what a database can have beside tables, each with NAME in its
// name, in a schema that a restore does not drop.
const oneOfEachKind = `
	create type NAME_range as range (subtype = int4);
	alter default privileges grant select on tables to pg_monitor;
	alter default privileges revoke execute on functions from public; create type NAME_later as range (subtype = int8);
	alter default privileges in schema public grant usage on sequences to pg_monitor;
	create table NAME_t (a int, b int, w text);
	create function NAME_f(int, int) returns boolean language sql immutable as 'select $1 = $2';
	create function NAME_g(int, NAME_t) returns boolean language sql as 'select true'; create operator === (leftarg = int, rightarg = NAME_t, function = NAME_g);
	create operator <=> (leftarg = int, rightarg = int, function = int4eq);
	create operator family NAME_family using btree;
	create operator class NAME_class for type int using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int, int);
	create cast (NAME_t as text) with inout;
	create collation NAME_c from "C";
	create conversion NAME_v for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
	create text search dictionary NAME_d (template = simple);
	create text search template NAME_m (lexize = dsimple_lexize);
	create text search parser NAME_p (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
	create text search configuration NAME_s (parser = default);
	alter text search configuration NAME_s add mapping for word with NAME_d;
	create function NAME_h() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler'; create trusted language NAME_l handler NAME_h;
	create access method NAME_a type index handler bthandler;
	create foreign data wrapper NAME_w; create server NAME_r foreign data wrapper NAME_w;
	create user mapping for public server NAME_r; create foreign table NAME_x (id int) server NAME_r;
	create statistics NAME_k on a, b from NAME_t;
	create aggregate NAME_sum(int) (sfunc = int4pl, stype = int);
	create domain NAME_o as int check (value > 0);
	create publication NAME_b for table NAME_t;
	create function NAME_e() returns event_trigger language plpgsql as 'begin end'; create event trigger NAME_j on sql_drop execute function NAME_e();
	comment on operator family NAME_family using btree is 'NAME'`

// eachKind makes one of each kind under a name.
func eachKind(name string) string {
	return strings.ReplaceAll(oneOfEachKind, "NAME", name) + ";"
}

func TestRestoreTakesBackEveryKindOfObject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"there since before the backup":    {eachKind("mine"), migration},
		"added since the backup":           {"", migration + ";" + eachKind("mine")},
		"changed since the backup":         {eachKind("mine"), "drop event trigger mine_j; drop cast (mine_t as text); drop table mine_t cascade; drop operator <=> (int, int);" + "alter default privileges grant usage on types to pg_monitor;" + migration},
		"the schema public was changed":    {"", "grant create on schema public to public; grant usage on schema public to pg_monitor with grant option; revoke usage on schema public from public; comment on schema public is 'ours'; alter schema public owner to postgres;" + migration},
		"the schema public is another":     {"grant create on schema public to pg_monitor; comment on schema public is 'ours'; alter schema public owner to postgres", "revoke all on schema public from public, pg_monitor; comment on schema public is null;" + migration},
		"the schema public was dropped":    {"", "drop schema public cascade; create schema later"},
		"the schema public was made since": {"drop schema public cascade", "create schema public; create table t ()"},
		"extensions in schemas of theirs":  {"create schema tools; create extension hstore schema tools; grant usage on schema tools to pg_monitor; comment on schema tools is 'of all'; create table tools.t (v tools.hstore)", "revoke usage on schema tools from pg_monitor; grant create on schema tools to public; comment on schema tools is 'of none';" + migration},
		"rows that an extension keeps": {
			`create extension hstore; create sequence numbers; alter extension hstore add sequence numbers; create table kept (id int primary key, mine boolean); insert into kept values (1, true), (2, false); alter extension hstore add table kept;
				set allow_system_table_mods to on; update pg_extension set extconfig = array['kept'::regclass::oid, 'numbers'::regclass::oid], extcondition = array['where mine', ''] where extname = 'hstore'`,
			"select nextval('numbers'); update kept set id = id + 10 where mine; insert into kept values (5, true);" + migration,
		},
		"an extension that was made since": {"", "create extension hstore; create table with_one (v hstore);" + migration},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := database(t, awkward+";"+c.before)
			before := allOf(t, dsn)
			made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			execute(t, dsn, c.after)
			if allOf(t, dsn) == before {
				t.Fatal("nothing was changed")
			}
			if _, err := restoreInPlace(dsn, made).Run(t.Context(), tasktest.Env(t)); err != nil {
				t.Fatal(err)
			}
			if got := allOf(t, dsn); got != before {
				t.Errorf("after the restore: %s", strings.Join(unequal(got, before), "; "))
			}
		})
	}
}
