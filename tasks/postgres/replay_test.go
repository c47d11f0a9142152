package postgres_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func replay(dsn redact.Secret, from postgres.SalvageReceipt) *postgres.Replay {
	r := replaySpec.New().Config().(*postgres.Replay)
	r.DSN, r.File, r.SHA256 = dsn, from.File, from.SHA256
	return r
}

func TestReplayKeepsTheContract(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key, v text)", "insert into t values (1, 'canary-value')")
	found := r.run(r.salvage())
	tasktest.Conform(t, tasktest.Case{
		Spec:      replaySpec,
		Configure: func(config any) { *config.(*postgres.Replay) = *replay(r.live, found) },
		Secrets:   []string{password(t, r.live), "canary-value"},
	})
	if v := value[string](t, r.live, "select v from t"); v != "canary-value" {
		t.Errorf("live has %q", v)
	}
}

func TestReplayBringsBackEveryWrite(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 500} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, fmt.Sprintf(varied, 300), fmt.Sprintf(variedWrites, 1))
			receipt := r.run(r.salvage())
			task := replay(r.live, receipt)
			task.Batch = batch
			got, err := task.Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			if d := pg.Differences(contents(t, opened(t, r.swap.Replaced)), contents(t, r.live)); len(d) > 0 || got.Conflicts > 0 || got.Applied == 0 {
				t.Errorf("%+v: %s", got, strings.Join(d, "; "))
			}
			again, err := task.Run(t.Context(), tasktest.Env(t))
			if err != nil || again.Applied != 0 || again.Present != got.Applied || again.Conflicts != 0 {
				t.Errorf("replayed again: %+v, %v, want %d present", again, err, got.Applied)
			}
		})
	}
}

func TestReplayOfLargeRowsTakesFewAtOnce(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key, v text)", "insert into t select i, repeat('x', 9 << 20) from generate_series(1, 3) i")
	found := r.run(r.salvage())
	env, transactions := tasktest.Env(t), 0
	env.Progress = func(int64, int64, string) { transactions++ }
	receipt, err := replay(r.live, found).Run(t.Context(), env)
	if err != nil || receipt.Applied != 3 || transactions != 2 {
		t.Errorf("%+v, %v, in %d transactions", receipt, err, transactions)
	}
}

// conflicts reads a report.
func conflicts(t testing.TB, file string) (list []string) {
	t.Helper()
	report, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	if info, err := report.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("the report has mode %v, %v", info.Mode(), err)
	}
	for scanner := bufio.NewScanner(report); scanner.Scan(); {
		var c struct {
			Table, Op, Reason string
			Key               map[string]string
			At                int64
		}
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil || c.At == 0 {
			t.Fatalf("%s: %v", scanner.Text(), err)
		}
		list = append(list, fmt.Sprintf("%s %s %v: %s", c.Op, c.Table, c.Key["id"], c.Reason))
	}
	return list
}

func TestReplayReportsEachConflictAndMakesTheRest(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table p (id int primary key, v text unique);
		create table c (id int primary key, p int references p);
		create table self (id int primary key, up int references self);
		insert into p select i, 'v' || i from generate_series(1, 9) i; insert into c values (1, 1), (2, 2)`, `
		insert into p values (10, 'ten'), (11, 'eleven'), (12, 'twelve'); update p set v = v || '!' where id in (2, 3, 4, 5);
		delete from c where id = 1; delete from p where id in (1, 6, 7); insert into c values (3, 10), (4, 12);
		insert into self select i, nullif(i + 1, 31) from generate_series(1, 30) i`)
	execute(t, r.live, `
		insert into p values (10, 'own'), (20, 'eleven'); update p set v = 'own ' || id where id in (2, 6); delete from p where id = 3;
		insert into c values (5, 7)`)
	found := r.run(r.salvage())
	execute(t, r.live, "update p set v = 'own 4' where id = 4")
	receipt, err := replay(r.live, found).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"both public.p 10: the row was written in both databases",
		"both public.p 2: the row was written in both databases",
		"delete public.p 7: update or delete on table \"p\" violates foreign key constraint",
		"insert public.p 11: another row with its key or another unique value of it is there",
		"update public.p 4: the row is gone, or was changed since",
	}
	got := slices.Sorted(slices.Values(conflicts(t, receipt.Report)))
	same := slices.EqualFunc(got, want, strings.HasPrefix)
	if !same || receipt.Conflicts != int64(len(got)) {
		t.Errorf("%+v\n%s\nwant\n%s", receipt, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := value[int](t, r.live, "select count(*) from self"); n != 30 {
		t.Errorf("%d of 30 rows that refer to later ones", n)
	}
	if v := value[string](t, r.live, "select string_agg(v, ' ' order by id) from p where id in (2, 4, 5, 6, 10, 12)"); v != "own 2 own 4 v5! own 6 own twelve" {
		t.Errorf("p has %q", v)
	}
	if v := value[string](t, r.live, "select string_agg(id || '>' || p, ' ' order by id) from c"); v != "2>2 3>10 4>12 5>7" {
		t.Errorf("c has %q", v)
	}
}

// A row that is hidden from the role is not one that was deleted.
func TestReplayRefusesTablesWhoseRowsAreHidden(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table t (id int primary key, own text); create table k (a text); create table open (id int primary key);
		insert into t values (1, 'a'), (2, 'b'); insert into k values ('a'); insert into open values (1)`,
		"delete from t; delete from k; delete from open")
	found := r.run(r.salvage())
	writer := role(t, r.live, "")
	execute(t, r.live, "create policy own on t using (own = current_user); create policy own on k using (a = current_user); grant all on t, k, open to "+writer.role)
	task := replay(writer.dsn, found)
	secure := "alter table t enable row level security; alter table k enable row level security"
	execute(t, r.live, secure)
	receipt, err := task.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "row level security hides rows of 2 tables from "+writer.role+", among them public.k", "ALTER ROLE "+writer.role+" BYPASSRLS")
	if receipt.Applied+receipt.Present > 0 || value[int](t, r.live, "select count(*) from open") != 1 {
		t.Errorf("it began: %+v", receipt)
	}
	task.Tables = []string{"public.open"}
	if receipt, err = task.Run(t.Context(), tasktest.Env(t)); err != nil || receipt.Applied != 1 {
		t.Errorf("the table that has none: %+v, %v", receipt, err)
	}
	execute(t, r.live, strings.ReplaceAll(secure, "enable", "disable"))
	task.Tables, task.Batch = nil, 1
	env := tasktest.Env(t)
	env.Progress = func(int64, int64, string) { execute(t, r.live, secure) } // behind the first change
	receipt, err = task.Run(t.Context(), env)
	if err != nil || receipt.Applied != 1 || receipt.Present != 1 || receipt.Conflicts != 2 {
		t.Errorf("hidden meanwhile: %+v, %v", receipt, err)
	}
}

// A role that may insert without reading cannot see what is in the row's way.
func TestReplayGoesOnBehindARowThatItMayNotLookAt(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table a (id int primary key, v text); create table b (id int primary key)",
		"insert into a values (1, 'theirs'), (2, 'theirs'); insert into b values (1)")
	found := r.run(r.salvage())
	writer := role(t, r.live, "")
	execute(t, r.live, "insert into a values (1, 'own'); grant insert on a to "+writer.role+"; grant all on b to "+writer.role)
	receipt, err := replay(writer.dsn, found).Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.Applied != 2 || receipt.Conflicts != 1 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if got := conflicts(t, receipt.Report); got[0] != "insert public.a 1: permission denied for table a (SQLSTATE 42501)" {
		t.Errorf("report: %q", got)
	}
}

func TestReplayOfChosenTablesMovesTheirSequences(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table a (id serial primary key, v text); create table b (id int generated always as identity primary key);
		create table "C d" (id int primary key)`, `
		insert into a (v) values ('x'), ('y'), ('z'); insert into b default values; insert into b default values; insert into "C d" values (1)`)
	found := r.run(r.salvage())
	task := replay(r.live, found)
	task.Tables = []string{"public.b", `public."C d"`}
	receipt, err := task.Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.Applied != 3 || receipt.Skipped != 3 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	execute(t, r.live, `insert into b default values; insert into a default values`)
	if v := value[string](t, r.live, "select (select string_agg(id::text, ',' order by id) from b) || ' ' || (select string_agg(id::text, ',') from a)"); v != "1,2,3 1" {
		t.Errorf("ids are %q", v)
	}
}

// What the application takes just before a sequence is set is not given out again.
func TestReplayMovesTheSequencesOfParentsForwardOnly(t *testing.T) {
	t.Parallel()
	r := rollBack(t, `
		create table ev (id bigserial, at date, primary key (id, at)) partition by range (at);
		create table ev_old partition of ev for values from (minvalue) to ('2020-01-01') partition by range (at);
		create table ev_older partition of ev_old for values from (minvalue) to ('2019-01-01');
		create table up (id serial, step int generated by default as identity (increment 50)); create table down (more bigserial) inherits (up);
		create table far (id bigserial primary key);
		create schema app; create table app.taken (of regclass, value bigint);
		create function app.setval(s regclass, v bigint) returns bigint language sql as $$
			insert into app.taken select s, nextval(s) from generate_series(1, 100); select pg_catalog.setval(s, v) $$`, `
		insert into ev (at) select '2018-01-01' from generate_series(1, 40);
		insert into down (id, step) select nextval('up_id_seq'), nextval('up_step_seq') from generate_series(1, 3);
		insert into far values (3000000)`)
	found := r.run(r.salvage())
	execute(t, r.live, "alter database "+name(t, r.live)+" set search_path to public, app, pg_catalog")
	if receipt, err := replay(r.live, found).Run(t.Context(), tasktest.Env(t)); err != nil || receipt.Conflicts > 0 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	next := value[string](t, r.live, `
		select format('%s %s %s %s %s', nextval('ev_id_seq'), nextval('up_id_seq'), nextval('up_step_seq'), nextval('down_more_seq'), nextval('far_id_seq'))`)
	if next != "41 4 151 4 3000001" {
		t.Errorf("the next values are %s", next)
	}
	if again := value[int](t, r.live, "select count(*) from app.taken where value > pg_sequence_last_value(of)"); again > 0 {
		t.Errorf("%d values will be given out twice", again)
	}
}

func TestReplayRefusesAFileThatIsNotWhatWasWritten(t *testing.T) {
	t.Parallel()
	r := rollBack(t, "create table t (id int primary key)", "insert into t values (1)")
	found := r.run(r.salvage())
	task := replay(r.live, found)
	task.Tables = []string{"t"}
	_, err := task.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "the file knows no table t", "SCHEMA.TABLE")
	task.Tables, task.File, task.SHA256 = nil, found.SQLFile, ""
	_, err = task.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "does not begin with the format", "first file")
	task.File, task.SHA256 = found.File, found.SHA256
	flip(t, found.File, 200)
	_, err = task.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "is not what was written", "postgres/salvage")
	task.File = found.File + "x"
	_, err = task.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "no such file", "postgres/salvage")
}

func TestReplayKilledAnywhereIsFinishedByTheNextCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, "create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 20) i; create table k (v int)",
				"update t set v = -v where id <= 10; delete from t where id > 15; insert into t values (0, 0); insert into k values (1), (1), (2)")
			found := r.run(r.salvage())
			want := contents(t, opened(t, r.swap.Replaced))
			saved := filepath.Join(t.TempDir(), "saved")
			kills := 0
			for at := 1; ; at++ {
				w := &wire{at: at, after: after}
				finished := runKilled(t, w, newChild(t, "replay", "DSN="+w.tap(t, r.live).Reveal(), "FILE="+found.File, "SAVED="+saved))
				if finished {
					break
				}
				kills++
				if os.Getenv("PHASEGATE_SOAK") == "" {
					at %= 3 // each time another one of the first few commits
				}
			}
			if d := pg.Differences(want, contents(t, r.live)); len(d) > 0 {
				t.Errorf("after %d kills: %s", kills, strings.Join(d, "; "))
			}
			if kills < 3 {
				t.Errorf("killed %d times only", kills)
			}
		})
	}
}

func replayChild() {
	env := childEnv()
	env.Saved, _ = os.ReadFile(os.Getenv("SAVED"))
	r := replaySpec.New().Config().(*postgres.Replay)
	r.DSN, r.File, r.Batch, r.LockWait = redact.NewSecret(os.Getenv("DSN")), os.Getenv("FILE"), 2, 5*time.Second
	receipt, err := r.Run(context.Background(), env)
	if _, skipped := errors.AsType[*task.SkipError](err); skipped {
		err = nil
	}
	if receipt.Conflicts > 0 {
		err = fmt.Errorf("%d conflicts", receipt.Conflicts)
	}
	say("ended:", err)
}
