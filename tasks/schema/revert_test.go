package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
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

func revertSpec() task.Spec {
	return task.Of("schema/revert", &schema.Revert{LockTimeout: 100 * time.Millisecond, LockTries: 150, StatementTimeout: time.Minute})
}

func revert(dsn redact.Secret, dir task.Path, to string, proven []string) *schema.Revert {
	r := revertSpec().New().Config().(*schema.Revert)
	r.DSN, r.Dir, r.To, r.Proven = dsn, dir, to, proven
	return r
}

// withDown adds reverse migrations to a folder, given as name and content by turns.
func withDown(t testing.TB, dir task.Path, files ...string) task.Path {
	t.Helper()
	down := filepath.Join(string(dir), "down")
	if err := os.MkdirAll(down, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(down, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash(t, down)
	return dir
}

// reversible is a history of three versions, the last two of which have a way back.
func reversible(t testing.TB) task.Path {
	t.Helper()
	return withDown(t, wards(t), "2_beds.sql", "drop table beds;\n", "3_floor.sql", "alter table wards drop column floor;\n")
}

// proofs rehearses what is pending and applies it.
func proofs(t testing.TB, dsn redact.Secret, dir task.Path) []string {
	t.Helper()
	receipt, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, apply(dsn, dir))
	return receipt.Proven
}

func TestRevertKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), reversible(t)
	proven := proofs(t, dsn, dir)
	tasktest.Conform(t, tasktest.Case{
		Spec: revertSpec(),
		Configure: func(config any) {
			c := config.(*schema.Revert)
			c.DSN, c.Dir, c.To, c.Proven = dsn, dir, "1", proven
		},
		Secrets: []string{dsn.Reveal()},
	})
}

func TestTheSchemaGoesBackAndEveryWriteStays(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), reversible(t)
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	do(t, dsn, "insert into wards values (1, 'A1')")
	proven := proofs(t, dsn, dir)
	if len(proven) != 2 || !strings.HasPrefix(proven[0], "3 h1:") || !strings.HasPrefix(proven[1], "2 h1:") {
		t.Fatalf("proven %v", proven)
	}
	do(t, dsn, "insert into wards values (2, 'B2', 7); insert into beds values (10, 1), (11, 2); update wards set name = 'A0' where id = 1")

	var log bytes.Buffer
	env := tasktest.Env(t)
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	r, err := revert(dsn, dir, "1", proven).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if said := "are in files\" rows=3 list=" + r.Kept; !strings.Contains(log.String(), said) {
		t.Errorf("the log lacks %q:\n%s", said, &log)
	}
	if r.From != "3" || r.To != "1" || r.Reverted != 2 || !slices.Equal(r.Versions, []string{"3", "2"}) || r.KeptRows != 3 {
		t.Errorf("receipt %+v", r)
	}
	if hasTable(t, dsn, "beds") || query[string](t, dsn, "select string_agg(w::text, ' ' order by id) from wards w") != "(1,A0) (2,B2)" {
		t.Error("the schema is not the old one, or a write is lost")
	}
	if s := status(t, dsn, dir, ""); s.Version != "1" || s.Pending != 2 {
		t.Errorf("status %+v", s)
	}
	holds(t, r, map[string]string{"public.beds": "id,ward\n10,1\n11,2\n", "public.wards": "id,floor\n2,7\n"})

	again, err := revert(dsn, dir, "1", proven).Run(t.Context(), env) // killed after the commit
	if err != nil || again.From != "3" || again.KeptRows != 3 || again.Kept != r.Kept {
		t.Errorf("again: %+v, %v", again, err)
	}
	mustApply(t, apply(dsn, dir)) // and forward once more
}

// holds holds that exactly these rows were kept, readable by the account alone.
func holds(t *testing.T, r schema.Reverted, want map[string]string) {
	t.Helper()
	text, err := os.ReadFile(r.Kept)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Table, File string }
	if err := json.Unmarshal(text, &list); err != nil || len(list) != len(want) {
		t.Fatalf("list %s, error %v", text, err)
	}
	for _, kept := range list {
		path := filepath.Join(filepath.Dir(r.Kept), kept.File)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
		got, _ := os.ReadFile(path)
		name := strings.ReplaceAll(kept.Table, `"`, "")
		if string(got) != want[name] {
			t.Errorf("kept of %s:\n%s\nwant:\n%s", name, got, want[name])
		}
	}
}

func TestTheCutOverIsTakenBackAndItsUsersStay(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	if err := medlogistics.Seed(t.Context(), dsn, 100); err != nil {
		t.Fatal(err)
	}
	r := rehearse(dsn, "../../schema")
	r.Baseline, r.To, r.Reverse = "20260101000000", "20261101000000", true
	rehearsal, err := r.Run(t.Context(), tasktest.Env(t))
	if err != nil || len(rehearsal.Proven) != 1 || rehearsal.RevertMS == 0 {
		t.Fatalf("rehearsal %+v, error %v", rehearsal, err)
	}
	a := apply(dsn, "../../schema")
	a.Baseline, a.To = r.Baseline, r.To
	from := mustApply(t, a).From
	const oldUsers = "select md5(string_agg(concat_ws('|', id, email, hashed_password, api_key, role, full_name, is_active), ',' order by id)) from users where api_key not like 'none:%'"
	before := query[string](t, dsn, oldUsers)
	do(t, dsn, `insert into users (email, role) values ('new@ward.example', 'nurse');
		update users set auth0_user_id = 'auth0|' || id;
		insert into hospitals (name) values ('General')`)
	receipt, err := revert(dsn, a.Dir, from, rehearsal.Proven).Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.To != a.Baseline || receipt.KeptRows != 102 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	if query[string](t, dsn, oldUsers) != before || query[int](t, dsn, "select count(*) from users") != 101 {
		t.Error("a user is lost or changed")
	}

	mustApply(t, a)
	do(t, dsn, "update users set role = 'super_admin' where email = 'new@ward.example'")
	_, err = revert(dsn, a.Dir, from, rehearsal.Proven).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "down/20261101000000_auth0.sql:", "invalid input value for enum userrole")
	if !hasTable(t, dsn, "hospitals") || status(t, dsn, a.Dir, "").Version != "20261101000000" {
		t.Error("a failed revert changed something")
	}
}

func TestWhatIsNotProvenIsNotTakenBack(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), reversible(t)
	proven := proofs(t, dsn, dir)
	refused := func(to string, proven []string, parts ...string) {
		t.Helper()
		_, err := revert(dsn, dir, to, proven).Run(t.Context(), tasktest.Env(t))
		fails(t, err, parts...)
		if !hasTable(t, dsn, "beds") {
			t.Error("it was taken back")
		}
	}
	refused("", proven, "take back 1: migration 1 has no reverse migration")
	refused("1", nil, "take back 3: its reverse migration was not proven")
	refused("1", proven[:1], "take back 2: its reverse migration was not proven")
	withDown(t, dir, "2_beds.sql", "drop table beds cascade;\n")
	refused("1", proven, "take back 2: the migration or its reverse was changed after it had been proven")
	add(t, filepath.Join(string(dir), "down"), "2_beds.sql", "select 1;\n")
	refused("1", proven, "down/2_beds.sql was edited after atlas.sum")
	withDown(t, dir, "7_none.sql", "select 1;\n")
	refused("1", proven, "7_none.sql reverses no migration")
	if _, err := revert(dsn, wards(t), "8", nil).Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "to: version 8") {
		t.Errorf("error %v", err)
	}
}

func TestABaselineAndHalfAMigrationAreNotTakenBack(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	do(t, dsn, "create table wards (id int primary key, name text not null)")
	dir := write(t, "1_wards.sql", "select 1;\n", "2_half.sql", outside+"create table half (id int);\nselect 1/0;\n")
	a := apply(dsn, dir)
	a.Baseline = "1"
	if _, err := a.Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Fatal("it was applied")
	}
	_, err := revert(dsn, dir, "1", nil).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "take back 2: only some of its statements are applied")
	do(t, dsn, "delete from atlas_schema_revisions.atlas_schema_revisions where version = '2'")
	_, err = revert(dsn, dir, "", nil).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "take back 1: it is the baseline")
}

func TestAReverseThatDoesNotRestoreIsFoundByTheRehearsal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ up, down, want string }{
		"a view is not put back": {"drop view v;\n", "select 1;\n", "VIEW public.v is missing"},
		"a grant is not taken back": {
			"create table b (id int);\ngrant select on wards to public;\n", "drop table b;\n",
			"ACL public.TABLE wards is there and should not be",
		},
		"a column is elsewhere": {
			"alter table wards drop column name;\n",
			"alter table wards add column name text not null default '';\nalter table wards alter column name drop default;\n",
			"restore the content as it was before",
		},
		"a sequence begins anew": {
			"drop sequence numbers;\n", "create sequence numbers;\n", "sequence public.numbers stands at 1, not used yet, and stood at 2",
		},
		"a publication is not put back": {"drop publication feed;\n", "select 1;\n", "PUBLICATION feed is missing"},
		"a large object is lost": {
			"select lo_unlink(oid) from pg_largeobject_metadata;\n", "select lo_create(0);\n", "large objects, as many as there should be, but of other content",
		},
		"a setting stays": {
			"do $$ begin execute format('alter database %I set work_mem = %L', current_database(), '5MB'); end $$;\n", "select 1;\n",
			"setting work_mem of all roles should not be there",
		},
		"a comment on the database stays": {
			"do $$ begin execute format('comment on database %I is %L', current_database(), 'new'); end $$;\n", "select 1;\n",
			"database itself is another",
		},
		"a grant on the database stays": {
			"do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;\n", "select 1;\n",
			"database itself is another",
		},
		"a reverse that fails": {"create table b (id int);\n", "drop table c;\n", "down/2_change.sql:1: table \"c\" does not exist"},
		"not one transaction":  {"create table b (id int);\n", outside + "drop table b;\n", "is not one transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := postgrestest.Database(t)
			dir := withDown(t, write(t,
				"1_wards.sql", "create table wards (id int, name text not null);\ninsert into wards values (1, 'A1');\ncreate view v as select id from wards;\n"+
					"create sequence numbers;\nselect nextval('numbers') from generate_series(1, 2);\ncreate publication feed for table wards;\nselect lo_from_bytea(0, 'a scan');\n",
				"2_change.sql", c.up), "2_change.sql", c.down)
			first := apply(dsn, dir)
			first.To = "1"
			mustApply(t, first)
			demanded := rehearse(dsn, dir)
			demanded.Reverse = true
			receipt, err := demanded.Run(t.Context(), tasktest.Env(t))
			fails(t, err, c.want)
			if len(receipt.Proven) != 0 || copies(t, dsn) != 0 {
				t.Errorf("receipt %+v", receipt)
			}
			if strings.Contains(c.down, "txmode") { // the folder is wrong, whatever the database holds
				return
			}
			receipt, err = rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
			if err != nil || len(receipt.Proven) != 0 || len(receipt.Unproven) != 1 || !strings.Contains(receipt.Unproven[0], c.want) {
				t.Errorf("not demanded: %+v, %v", receipt, err)
			}
		})
	}
}

func TestAWayBackCanBeDemanded(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), reversible(t)
	r := rehearse(dsn, dir)
	r.Reverse = true
	_, err := r.Run(t.Context(), tasktest.Env(t))
	fails(t, err, "there is no way back: 1: migration 1 has no reverse migration")
	r.Reverse = false
	receipt, err := r.Run(t.Context(), tasktest.Env(t))
	if err != nil || len(receipt.Unproven) != 1 || len(receipt.Proven) != 2 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestKilledOrBlockedARevertLeavesAllOrNothing(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), reversible(t)
	proven := proofs(t, dsn, dir)
	other := connect(t, dsn)
	if _, err := other.Exec(t.Context(), "begin; select * from wards"); err != nil {
		t.Fatal(err)
	}
	r := revert(dsn, dir, "1", proven)
	r.LockTries, r.LockTimeout = 4, 500*time.Millisecond // long enough for the look at whom it waits for, also on a busy machine
	receipt, err := r.Run(t.Context(), tasktest.Env(t))
	fails(t, err, "down/3_floor.sql:1", "tried 4 times for 500ms; waited for: pid ")
	if receipt.Reverted != 0 || status(t, dsn, dir, "").Version != "3" {
		t.Errorf("receipt %+v", receipt)
	}
	if _, err := other.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}

	// Save is the last act before the commit: what is killed there is done again.
	env := tasktest.Env(t)
	save := env.Save
	env.Save = func(receipt any) error { return errors.Join(save(receipt), errors.New("the journal is full")) }
	if _, err := r.Run(t.Context(), env); err == nil || !hasTable(t, dsn, "beds") {
		t.Fatalf("without a journal: %v", err)
	}
	env.Save = save
	if receipt, err := r.Run(t.Context(), env); err != nil || receipt.Reverted != 2 || hasTable(t, dsn, "beds") {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestKilledInTheMiddleARevertIsDoneByTheNextCall(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := withDown(t, wards(t), "2_beds.sql", "drop table beds;\nselect pg_sleep(1);\n", "3_floor.sql", "alter table wards drop column floor;\n")
	proven := proofs(t, dsn, dir)
	do(t, dsn, "insert into wards values (1, 'A1', 3)")
	saved := killStep(t, "step-revert", dsn, dir, proven, "it runs", asleep(t, dsn))
	if !hasTable(t, dsn, "beds") || status(t, dsn, dir, "").Version != "3" {
		t.Error("a killed revert changed something")
	}
	env := tasktest.Env(t)
	env.Saved = saved
	if r, err := revert(dsn, dir, "1", proven).Run(t.Context(), env); err != nil || r.Reverted != 2 || r.KeptRows != 1 {
		t.Errorf("receipt %+v, error %v", r, err)
	}
}

func TestADeferredConstraintDoesNotStandInTheWayOfTheNextReverse(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := withDown(t, write(t,
		"1_base.sql", "create table p (id int primary key);\ninsert into p values (1), (2);\n"+
			"create table c (id int primary key, pid int references p deferrable initially deferred);\ninsert into c values (1, 1);\n",
		"2_extra.sql", "create table more (id int);\n",
		"3_extra.sql", "alter table c add extra int;\n",
		"4_move.sql", "update c set pid = 2 where id = 1;\n",
	),
		"2_extra.sql", "update c set pid = 7;\nupdate c set pid = 1;\ndrop table more;\n",
		"3_extra.sql", "alter table c drop extra;\n",
		"4_move.sql", "update c set pid = 1 where id = 1;\n")
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	r, err := revert(dsn, dir, "1", proofs(t, dsn, dir)).Run(t.Context(), tasktest.Env(t))
	if err != nil || r.Reverted != 3 || query[int](t, dsn, "select pid from c") != 1 {
		t.Errorf("receipt %+v, error %v", r, err)
	}
}

func TestReversesThatDoNotGoTogetherAreFoundByTheRehearsal(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := withDown(t, write(t,
		"1_base.sql", "create type kind as enum ('old', 'new');\ncreate table c (v kind);\ninsert into c values ('new');\n",
		"2_move.sql", "update c set v = 'old';\n",
		"3_less.sql", "alter type kind rename to kinds;\ncreate type kind as enum ('old');\n"+
			"alter table c alter v type kind using v::text::kind;\ndrop type kinds;\n",
	), "2_move.sql", "update c set v = 'new';\n", "3_less.sql", "alter type kind add value 'new';\n")
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	env := tasktest.Env(t)
	r, err := rehearse(dsn, dir).Run(t.Context(), env)
	if err != nil || len(r.Proven) != 0 || len(r.Unproven) != 2 || !strings.Contains(r.Unproven[0], "unsafe use of new value") {
		t.Errorf("receipt %+v, error %v", r, err)
	}
	if left, _ := filepath.Glob(filepath.Join(env.Dir, "proving-*")); len(left) > 0 {
		t.Errorf("rows of the copy are left in %v", left)
	}
}
