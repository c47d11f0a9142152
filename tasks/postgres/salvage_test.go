package postgres_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// A rolledBack is a database that was written to after its copy, and put back.
type rolledBack struct {
	testing.TB
	live  redact.Secret
	since string
	swap  postgres.SwapReceipt
}

// rollBack makes a database, copies it, has it written to and swaps it back.
func rollBack(t testing.TB, before string, writes ...string) *rolledBack {
	t.Helper()
	r := &rolledBack{TB: t, live: database(t, before)}
	back := staged(t, stage(r.live), tasktest.Env(t))
	r.since = back.Snapshot
	r.write(back.Database, writes...)
	return r
}

// write writes to the live database, and puts the copy in its place.
func (r *rolledBack) write(copied string, writes ...string) {
	r.Helper()
	for _, sql := range writes {
		execute(r, r.live, sql)
	}
	var err error
	if r.swap, err = swap(r.live, copied).Run(r.Context(), tasktest.Env(r)); err != nil {
		r.Fatal(err)
	}
	dropLater(r, r.swap.Replaced)
}

func (r *rolledBack) salvage() *postgres.Salvage {
	s := salvageSpec.New().Config().(*postgres.Salvage)
	s.DSN, s.Replaced, s.Since, s.After = r.live, r.swap.Replaced, r.since, r.swap.Boundary
	return s
}

// run salvages, and fails the test if it cannot.
func (r *rolledBack) run(s *postgres.Salvage) postgres.SalvageReceipt {
	r.Helper()
	receipt, err := s.Run(r.Context(), tasktest.Env(r))
	if err != nil {
		r.Fatal(err)
	}
	return receipt
}

// lines reads the changes of a file, each put shortly.
func lines(t testing.TB, file string) (list []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<24)
	for scanner.Scan() {
		var change struct {
			Format, Table, Op string
			Key, Old, New     map[string]any
			Was, Count        int64
		}
		if err := json.Unmarshal(scanner.Bytes(), &change); err != nil {
			t.Fatalf("%s: %v", scanner.Text(), err)
		}
		if change.Format != "" {
			continue
		}
		line := fmt.Sprintf("%s %s key %v old %v new %v", change.Op, change.Table, change.Key, change.Old, change.New)
		if change.Op == "count" {
			line += fmt.Sprintf(" %d to %d", change.Was, change.Count)
		}
		list = append(list, strings.ReplaceAll(line, "map[]", "-"))
	}
	return list
}

func wantLines(t testing.TB, file string, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(lines(t, file)))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds\n%s\nwant\n%s", filepath.Base(file), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSalvageKeepsTheContract(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key, v text)", "insert into t values (1, 'canary-value')")
	tasktest.Conform(t, tasktest.Case{
		Spec:      salvageSpec,
		Configure: func(config any) { *config.(*postgres.Salvage) = *r.salvage() },
		Secrets:   []string{password(t, r.live), "canary-value"},
	})
}

func TestSalvageTellsEachWriteAndWhatWasDropped(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table wards (id int primary key, name text);
		create table orders (id bigint generated always as identity primary key, ward int references wards, note text, twice int generated always as (1) stored);
		create table log (line text);
		insert into wards values (1, 'a'), (2, 'b');
		insert into orders (ward, note) values (1, 'one'), (2, 'two'), (1, null);
		insert into log values ('x'), ('x'), ('y')`, `
		alter table orders add auth text, add flag boolean default false;
		create table rights (id int primary key, ward int references wards);
		insert into wards values (3, E'tab\there, "quotes" and a \\ back\nslash');
		insert into orders (ward, note, auth) values (3, '', 'new');
		update orders set note = 'one''s' where id = 1; update orders set auth = 'auth0|2' where id = 2;
		delete from orders where id = 3;
		insert into rights values (1, 3);
		insert into log values ('x'), (null); delete from log where line = 'y'`)
	receipt := r.run(r.salvage())
	wantLines(t, receipt.File,
		"count public.log key - old - new map[line:x] 2 to 3",
		"count public.log key - old - new map[line:<nil>] 0 to 1",
		"insert public.wards key map[id:3] old - new map[id:3 name:tab\there, \"quotes\" and a \\ back\nslash]",
		"update public.orders key map[id:1] old map[id:1 note:one ward:1] new map[note:one's]",
		"insert public.orders key map[id:4] old - new map[id:4 note: ward:3]",
		"delete public.orders key map[id:3] old map[id:3 note:<nil> ward:1] new -",
		"count public.log key - old - new map[line:y] 1 to 0")
	wantLines(t, receipt.DroppedFile,
		"held public.orders key - old - new map[auth:auth0|2 flag:f id:2]",
		"held public.orders key - old - new map[auth:new flag:f id:4]",
		"held public.rights key - old - new map[id:1 ward:3]")
	if receipt.Inserted != 4 || receipt.Updated != 1 || receipt.Deleted != 2 || receipt.Dropped != 3 || receipt.Both != 0 || receipt.Compared != 3 {
		t.Errorf("receipt = %+v", receipt)
	}
	for _, file := range []string{receipt.File, receipt.SQLFile, receipt.DroppedFile, receipt.UnsureFile} {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if n := len(files(t, filepath.Dir(receipt.File))); n != 4 {
		t.Errorf("%d files are left", n)
	}
	if _, err := pg.Connect(t.Context(), postgrestest.ForTest(t).DSN(r.swap.Replaced)); err == nil {
		t.Error("the replaced database takes connections")
	}
}

// varied is a schema of tables of all kinds with so many rows each, and writes to
// about one row in thirty of it.
const (
	varied = `
		create type mood as enum ('sad', 'ok');
		create table by_uuid (id uuid primary key, n int unique, e mood, j json, b bytea, a text[], t timestamptz, f float8, m numeric, y bool default true, c char(5) default 'ab', net inet default '10.0.0.1');
		insert into by_uuid select md5(i::text)::uuid, i, 'ok', '{"a": "b\\c"}', '\x00ff', array['x', null, i::text], now(), random(), i / 3.0 from generate_series(1, %[1]d) i;
		create table by_text (a text, "B ""b""" int, v text, primary key (a, "B ""b"""));
		insert into by_text select E'k\t\n\\' || i %% 10, i, repeat('ä', i %% 50) from generate_series(1, %[1]d) i;
		create table keyless (v int, w json);
		insert into keyless select i %% 100, '1' from generate_series(1, %[1]d) i;
		create table parts (id bigint primary key, v text) partition by range (id);
		create table parts1 partition of parts for values from (0) to (100); create table parts2 partition of parts for values from (100) to (maxvalue);
		insert into parts select i, md5(i::text) from generate_series(1, %[1]d) i;
		create table child (id int generated always as identity primary key, parent uuid references by_uuid);
		insert into child (parent) select md5(i::text)::uuid from generate_series(2, %[1]d, 2) i;
		create table named (h int primary key, mark bool, c0 text); insert into named select i from generate_series(1, %[1]d) i;
		create type pair as (a int, b text); create table by_pair (k pair primary key, v text);
		insert into by_pair select row(i, 'k' || i)::pair, 'v' from generate_series(1, %[1]d) i;
		create table none (); insert into none default values;
		create table computed (v int generated always as (1) stored); insert into computed select from generate_series(1, 5)`
	variedWrites = `
		update named set mark = true where h %% 70 = 0;
		delete from child where id %% (40 * %[1]d) = 0;
		delete from by_uuid where n %% (80 * %[1]d) = 1;
		update by_uuid set e = 'sad', y = false, net = null, j = '[]', a = null, f = 'nan', t = 'infinity' where n %% (77 * %[1]d) = 3;
		insert into by_uuid (id, n, m) select gen_random_uuid(), -i, 1.00 from generate_series(1, 50) i;
		insert into child (parent) select id from by_uuid where n < 0;
		update by_text set v = E'\'\\', a = a || 'moved' where "B ""b""" %% (90 * %[1]d) = 0; update by_text set v = null where "B ""b""" %% (91 * %[1]d) = 0;
		delete from by_text where "B ""b""" %% (92 * %[1]d) = 0;
		insert into none select from generate_series(1, 3); delete from computed where ctid in (select ctid from computed limit 2);
		delete from by_pair where (k).a %% (80 * %[1]d) = 0; update by_pair set v = null where (k).a %% (79 * %[1]d) = 0; insert into by_pair values ((0, 'new'), 'v');
		delete from keyless where v = 7; insert into keyless values (7, '1'), (8, '1'), (8, '1'), (8, '2'), (null, null);
		update parts set id = id + 1000000 where id %% (70 * %[1]d) = 0; update parts set v = '' where id %% (71 * %[1]d) = 0`
)

// What was written at random is compared, and the file of SQL applied to what was
// put back: both databases must be equal then, whichever way the rows were found.
func TestNothingWrittenIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, seldom int
		since, after bool
		method       string
	}{{200, 1, true, true, "merge"}, {12000, 10, true, true, "xmin"}, {12000, 10, false, true, "content"}, {12000, 10, true, false, "xmin"}, {12000, 1, false, false, "merge"}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, fmt.Sprintf(varied, c.rows), fmt.Sprintf(variedWrites, c.seldom), "alter table by_uuid add added text default 'x'; create table added (id int)")
			s := r.salvage()
			if !c.since {
				s.Since = ""
			}
			if !c.after {
				s.After = ""
			}
			receipt := r.run(s)
			sql, err := os.ReadFile(receipt.SQLFile)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time does nothing
				execute(t, r.live, string(sql))
			}
			kept := opened(t, r.swap.Replaced)
			execute(t, kept, "alter table by_uuid drop added; drop table added")
			if d := pg.Differences(contents(t, kept), contents(t, r.live)); len(d) > 0 {
				t.Fatal(strings.Join(d, "; "))
			}
			if !slices.ContainsFunc(receipt.Tables, func(s postgres.SalvagedTable) bool { return s.Method == c.method }) {
				t.Errorf("no table was compared by %s: %+v", c.method, receipt.Tables)
			}
		})
	}
}

func TestSalvageTellsTheLiveDatabasesOwnWrites(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{20, 20000} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, fmt.Sprintf(`
				create table t (id int primary key, v text); insert into t select i, 'old' from generate_series(1, %d) i;
				create table k (v text); insert into k values ('a'), ('b'), ('c'), ('c')`, rows), `
				insert into t values (-1, 'theirs'), (-3, 'same'); update t set v = 'theirs' where id in (1, 2); delete from t where id in (5, 6, 7);
				insert into k values ('a'), ('new')`)
			execute(t, r.live, `
				insert into t values (-2, 'own'), (-3, 'same'); update t set v = 'own' where id in (2, 3); delete from t where id in (4, 5);
				insert into k values ('own'), ('a'); delete from k where v = 'b'`)
			execute(t, r.live, "update t set v = 'own' where id = 7")
			receipt := r.run(r.salvage())
			wantLines(t, receipt.UnsureFile,
				"unsure public.t key map[id:-2] old - new map[id:-2]",
				"unsure public.t key map[id:7] old - new map[id:7]")
			if receipt.Unsure != 2 {
				t.Errorf("receipt = %+v", receipt)
			}
			got := lines(t, receipt.File)
			slices.Sort(got)
			want := []string{
				"both public.t key map[id:2] old - new map[id:2 v:theirs]",
				"count public.k key - old - new map[v:a] 2 to 3",
				"count public.k key - old - new map[v:new] 0 to 1",
				"delete public.t key map[id:6] old map[id:6 v:old] new -",
				"insert public.t key map[id:-1] old - new map[id:-1 v:theirs]",
				"update public.t key map[id:1] old map[id:1 v:old] new map[v:theirs]",
			}
			if !slices.Equal(got, want) {
				t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// What is written between a backup and the clone is in the clone: it is as old as
// that, also while a transaction is open elsewhere on the server.
func TestSalvageTakesForOldWhatTheCloneHolds(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{20, 20000} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			t.Parallel()
			r := &rolledBack{TB: t, live: database(t, fmt.Sprintf(`
				create table t (id int primary key, v text); insert into t select i, 'old' from generate_series(10, %d) i`, rows))}
			made, err := backup(r.live, t.TempDir()).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			elsewhere := connect(t, postgrestest.ForTest(t).DSN(pg.Maintenance))
			defer pg.Close(elsewhere)
			if _, err := elsewhere.Exec(t.Context(), "begin; select pg_current_xact_id()"); err != nil {
				t.Fatal(err)
			}
			execute(t, r.live, "insert into t values (1, 'old'), (2, 'old'), (3, 'old'), (4, 'old')")
			s := stage(r.live)
			s.Backup = made.File
			back := staged(t, s, tasktest.Env(t))
			r.since = back.Snapshot
			r.write(back.Database, "insert into t values (5, 'new'); update t set v = 'new' where id = 4")
			execute(t, r.live, "delete from t where id = 2; update t set v = 'own' where id = 3")
			wantLines(t, r.run(r.salvage()).File,
				"insert public.t key map[id:5] old - new map[id:5 v:new]",
				"update public.t key map[id:4] old map[id:4 v:old] new map[v:new]")
		})
	}
}

// Where every row is rewritten, a hash of the content has to tell what hardly
// differs.
func TestSalvageTellsContentsThatAreAlmostTheSame(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table t (id int primary key, a text, b varchar(9), n bigint, i int, u uuid, d numeric, c char(3), h "char"[]);
		insert into t select i, 'x', 'y', 0, 0, null, 1, 'c', null from generate_series(1, 20000) i;
		update t set a = '' where id in (1, 2); update t set a = id::text where id in (5, 6)`, `
		alter table t add auth0_user_id text; update t set auth0_user_id = 'auth0|' || id;
		update t set a = null where id = 1; update t set b = 'x', a = 'y' where id = 3; update t set n = 4294967297 where id = 4;
		update t set a = (11 - id)::text where id in (5, 6); update t set i = null where id = 7;
		update t set u = '00000000-0000-0000-0000-000000000000' where id = 8; update t set d = 1.0 where id = 9; update t set h = '{}' where id = 10`)
	receipt := r.run(r.salvage())
	if receipt.Updated != 9 || receipt.Inserted+receipt.Deleted+receipt.Both != 0 || receipt.Tables[0].Method != "content" {
		t.Errorf("receipt = %+v", receipt)
	}
}

func TestSalvageOfAWideTable(t *testing.T) {
	t.Parallel()
	var columns strings.Builder
	for i := range 300 {
		fmt.Fprintf(&columns, ", c%d int default 7", i)
	}
	r := rollBack(t, "create table t (id int primary key"+columns.String()+"); insert into t select i from generate_series(1, 2000) i", `
		alter table t add auth0_user_id text; update t set auth0_user_id = 'auth0|' || id; update t set c299 = null where id = 3`)
	receipt := r.run(r.salvage())
	if receipt.Updated != 1 || receipt.Tables[0].Method != "content" {
		t.Errorf("receipt = %+v", receipt)
	}
}

// Rows of one group of hashes are found if one of them is gone, and if several are.
func TestSalvageFindsEveryDeletedRow(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table few (id int primary key, v text); insert into few select i, 'old' from generate_series(1, 20000) i;
		create table many (id uuid primary key, v text); insert into many select md5(i::text)::uuid, 'old' from generate_series(1, 20000) i`, `
		delete from few where id % 200 = 0; update few set v = 'new' where id % 201 = 0; insert into few select -i from generate_series(1, 20) i;
		delete from many where v = 'old' and get_byte(uuid_send(id), 0) < 3; insert into many values (md5('new')::uuid, 'new')`)
	deleted := value[int64](t, r.live, "select count(*) from many where get_byte(uuid_send(id), 0) < 3")
	receipt := r.run(r.salvage())
	if receipt.Inserted != 21 || receipt.Updated != 99 || receipt.Deleted != 100+deleted || deleted < 200 {
		t.Errorf("%d of many are deleted, receipt = %+v", deleted, receipt)
	}
	for _, table := range receipt.Tables {
		if table.Method != "xmin" {
			t.Errorf("%s was compared by %s", table.Table, table.Method)
		}
	}
}

// Service is back while a salvage looks: what is inserted meanwhile, all over the
// table, must not have it read and sort every row.
func TestSalvageIsNotSlowedByWhatTheLiveDatabaseInserts(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id uuid primary key, v text); insert into t select md5(i::text)::uuid, 'old' from generate_series(1, 20000) i", `
		insert into t values (md5('new')::uuid, 'theirs'); update t set v = 'theirs' where id = md5('1')::uuid; delete from t where id = md5('2')::uuid`)
	execute(t, r.live, "insert into t select md5('own' || i)::uuid, 'own' from generate_series(1, 5000) i")
	receipt := r.run(r.salvage())
	if receipt.Inserted != 1 || receipt.Updated != 1 || receipt.Deleted != 1 || receipt.Both != 0 {
		t.Errorf("receipt = %+v", receipt)
	}
	if len(receipt.Tables) != 1 || receipt.Tables[0].Method != "xmin" {
		t.Errorf("tables = %+v", receipt.Tables)
	}
}

func TestSalvageLeavesOutWhatOnlyATriggerTouched(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table t (id int primary key, v text, updated_at timestamptz, "Seen" int default 0, by_hand int);
		insert into t select i, 'old', now(), 0, 0 from generate_series(1, 20000) i;
		create function touch() returns trigger language plpgsql as $$
		begin -- new.v := 'not this one'
			if new.v = old.v then new.updated_at = clock_timestamp(); end if;
			new."Seen" := new."Seen" + 1;
			return new;
		end $$;
		create trigger touch before update on t for each row execute function touch()`, `
		alter table t add auth0_user_id text; update t set auth0_user_id = 'auth0|' || id;
		update t set v = 'nurse' where id = 3; update t set by_hand = 1 where id = 4`)
	s := r.salvage()
	s.IgnoreColumns = []string{"t.by_hand"}
	receipt := r.run(s)
	if receipt.Updated != 1 || receipt.Inserted+receipt.Deleted != 0 || receipt.Dropped != 20000 {
		t.Errorf("receipt = %+v", receipt)
	}
	if len(receipt.Tables) != 1 || receipt.Tables[0].Method != "content" ||
		!slices.Equal(receipt.Tables[0].Ignored, []string{"updated_at", "Seen", "by_hand"}) {
		t.Errorf("tables = %+v", receipt.Tables)
	}
	if got := lines(t, receipt.File); len(got) != 1 || !strings.HasPrefix(got[0], "update public.t key map[id:3] old map[Seen:0 by_hand:0 id:3 updated_at:") {
		t.Errorf("changes: %v", got)
	}
}

func TestSalvageOfKeysThatAreGenerated(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table only_key (v text, g text generated always as (lower(v)) stored primary key);
		create table other_key (g int generated always as (n * 2) stored primary key, n int not null, v text, unique (n) include (v, g));
		insert into only_key values ('A'), ('B'); insert into other_key values (default, 1, 'a'), (default, 2, 'b')`, `
		update only_key set v = 'C' where v = 'A'; insert into only_key values ('D');
		update other_key set v = null where n = 1; insert into other_key values (default, 3, 'c')`)
	found := r.run(r.salvage())
	wantLines(t, found.File,
		"count public.only_key key - old - new map[v:A] 1 to 0",
		"count public.only_key key - old - new map[v:C] 0 to 1",
		"count public.only_key key - old - new map[v:D] 0 to 1",
		"insert public.other_key key map[n:3] old - new map[n:3 v:c]",
		"update public.other_key key map[n:1] old map[n:1 v:a] new map[v:<nil>]")
	replayed, err := replay(r.live, found).Run(t.Context(), tasktest.Env(t))
	if d := pg.Differences(contents(t, opened(t, r.swap.Replaced)), contents(t, r.live)); err != nil || replayed.Conflicts > 0 || len(d) > 0 {
		t.Errorf("%+v, %v: %v", replayed, err, d)
	}
}

// "Everything was taken back" is not all that a person has to know.
func TestSalvageTellsWhatAPersonHasToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string // the swap
		want          []string
	}{
		{"", "", nil},
		{"insert into t values (2, 'b')", "", []string{"postgres/replay applies them", "inserted=1 updated=0 deleted=0", ".ndjson sql_file="}},
		{
			"update t set v = 'c'; alter table t add column w int; update t set w = 7", "",
			[]string{"inserted=0 updated=1 deleted=0", "does not have are in a file", "-dropped.ndjson"},
		},
		{
			"update t set v = 'd'", "update t set v = 'e'; insert into t values (3, 'f')",
			[]string{"written in both databases", "were written after the swap", "-unsure.ndjson"},
		},
	} {
		r := rollBack(t, "create table t (id int primary key, v text); insert into t values (1, 'a')", c.before)
		execute(t, r.live, c.after)
		var log bytes.Buffer
		env := tasktest.Env(t)
		env.Log = slog.New(slog.NewTextHandler(&log, nil))
		if _, err := r.salvage().Run(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		for _, part := range c.want {
			if !strings.Contains(log.String(), part) {
				t.Errorf("after %q and %q the log lacks %q:\n%s", c.before, c.after, part, &log)
			}
		}
		if c.want == nil && log.Len() > 0 {
			t.Errorf("nothing was written, and it says:\n%s", &log)
		}
	}
}

func TestSalvageTellsOfLargeObjects(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "select lo_from_bytea(i::oid, decode(repeat('ab', 70000), 'hex')) from generate_series(100001, 100100) i; create table t (id int primary key)", `
		select lo_from_bytea(99999, 'new'), lo_from_bytea(200001, 'new'), lo_put(100007, 69999, 'x'), lo_unlink(100070), lo_unlink(100100);
		insert into t values (1)`)
	execute(t, r.live, "select lo_from_bytea(99998, 'own'), lo_unlink(100050)")
	var log bytes.Buffer
	env := tasktest.Env(t)
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	found, err := r.salvage().Run(t.Context(), env)
	if err != nil || found.LargeInserted != 2 || found.LargeChanged != 1 || found.LargeDeleted != 2 || found.Inserted != 1 {
		t.Errorf("receipt = %+v, %v", found, err)
	}
	if text := log.String(); !strings.Contains(text, "large objects differ") || !strings.Contains(text, "inserted=2 changed=1 deleted=2") {
		t.Errorf("the log says %s", text)
	}
	sql, err := os.ReadFile(found.SQLFile)
	for _, want := range []string{"100007 is not the same", "99999 was inserted", "200001 was inserted", "100070 was deleted", "100100 was deleted"} {
		if err != nil || !strings.Contains(string(sql), "-- large object "+want) {
			t.Errorf("the SQL does not say that %s: %v", want, err)
		}
	}
}

// What a role may not read does not keep it from the rows.
func TestSalvageOfLargeObjectsThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "select lo_from_bytea(100001, 'secret'); create table t (id int primary key); grant select on t to public", "insert into t values (1)")
	owner := role(t, r.live, "createdb")
	for _, database := range []string{name(t, r.live), r.swap.Replaced} {
		execute(t, r.live, "alter database "+database+" owner to "+owner.role)
	}
	s := r.salvage()
	s.DSN = owner.dsn
	if found := r.run(s); found.Inserted != 1 || found.LargeInserted != -1 {
		t.Errorf("receipt = %+v", found)
	}
}

// The history is true of the replaced database alone: replayed, it would have the
// live one take a migration for applied.
func TestSalvageLeavesOutTheHistoryOfTheSchema(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `create schema atlas_schema_revisions;
		create table atlas_schema_revisions.atlas_schema_revisions (version text primary key);
		create table drugs (id int primary key)`,
		"insert into atlas_schema_revisions.atlas_schema_revisions values ('2'); insert into drugs values (1)")
	found := r.run(r.salvage())
	wantLines(t, found.File, "insert public.drugs key map[id:1] old - new map[id:1]")
}

func TestSalvageOfAnEarlierCallIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key)", "insert into t values (1)")
	env := tasktest.Env(t)
	first, err := r.salvage().Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.salvage().Run(t.Context(), env)
	var skip *task.SkipError
	if !errors.As(err, &skip) || second.SHA256 != first.SHA256 {
		t.Errorf("second call: %+v, %v", second, err)
	}
	truncate(t, first.File, 10)
	third, err := r.salvage().Run(t.Context(), env)
	if err != nil || third.SHA256 != first.SHA256 {
		t.Errorf("with a damaged file: %+v, %v", third, err)
	}
}

func TestSalvageSaysWhatItCannotUse(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key)")
	s := r.salvage()
	s.Replaced = "nowhere"
	_, err := s.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "salvage what was written to database nowhere: there is no such database", "postgres/swap")
	s = r.salvage()
	s.After = "4000000000000"
	_, err = s.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "has not come to", "on this server")
	s.After = "-1"
	_, err = s.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, `after is "-1"`, "boundary")
	s.Since = "yesterday"
	_, err = s.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, `since is "yesterday"`, "snapshot")
	s.LockWait = 0
	wantError(t, s.Validate(), "lock_wait", "")
	s.Replaced = ""
	wantError(t, s.Validate(), "replaced is empty", "postgres/swap")
}
