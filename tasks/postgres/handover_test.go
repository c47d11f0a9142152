package postgres_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// badges is a table whose unique values are handed over: by a row that is deleted
// to one that is inserted, and by rows that are updated to an inserted one and on
// to each other.
const (
	badges = `
		create table badges (id int primary key, badge text unique);
		insert into badges select i, 'b' || i from generate_series(1, 20) i`
	badgesDeleted  = "delete from badges where id between 1 and 8; insert into badges select 20 + i, 'b' || i from generate_series(1, 8) i"
	badgesInserted = "update badges set badge = 'lost ' || id where id between 9 and 12; insert into badges select 20 + i, 'b' || i from generate_series(9, 12) i"
	badgesPassed   = "update badges set badge = 'b30' where id = 13; update badges set badge = 'b' || id - 1 where id between 14 and 20"
)

func TestReplayHandsUniqueValuesOver(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 500} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, badges, badgesDeleted, badgesInserted, badgesPassed)
			task := replay(r.live, r.run(r.salvage()))
			task.Batch = batch
			got, err := task.Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			if d := pg.Differences(contents(t, opened(t, r.swap.Replaced)), contents(t, r.live)); len(d) > 0 || got.Conflicts != 0 || got.Applied != 32 {
				t.Errorf("%+v: %s", got, strings.Join(d, "; "))
			}
		})
	}
}

// A chain of rows that all wait for the next one's value is not followed for ever.
func TestReplayOfALongChainEndsAndGetsFurtherTheNextTime(t *testing.T) {
	t.Parallel()
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("takes long")
	}
	r := rollBack(t, "create table t (id int primary key, n int unique); insert into t select i, i from generate_series(1, 500) i",
		"update t set n = n + 1000; update t set n = n - 999")
	found := r.run(r.salvage())
	var before int64
	for range 2 {
		got, err := replay(r.live, found).Run(t.Context(), tasktest.Env(t))
		if err != nil || got.Applied == 0 || got.Conflicts == 0 || before+got.Applied+got.Conflicts != 500 {
			t.Errorf("after %d changes: %+v, %v", before, got, err)
		}
		before += got.Applied
	}
}

func TestTheSQLFileHandsUniqueValuesOver(t *testing.T) {
	t.Parallel()
	r := rollBack(t, badges, badgesDeleted, badgesInserted)
	found := r.run(r.salvage())
	for range 2 { // the second time does nothing
		if said, err := psql(t, r.live, found.SQLFile); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if d := pg.Differences(contents(t, opened(t, r.swap.Replaced)), contents(t, r.live)); len(d) > 0 {
			t.Error(strings.Join(d, "; "))
		}
	}
}

func TestTheSQLFileLosesNoRowInSilence(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]string{
		"key":          "insert into badges values (30, 'own')",
		"unique value": "insert into badges values (40, 'new')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, badges, "insert into badges values (30, 'new'), (31, 'other')")
			found := r.run(r.salvage())
			execute(t, r.live, own)
			before := contents(t, r.live)
			said, err := psql(t, r.live, found.SQLFile)
			if err == nil || !strings.Contains(err.Error()+said, `public.badges {"id":"30"}`) || strings.Contains(err.Error()+said, `"31"`) {
				t.Errorf("psql says %v: %s", err, said)
			}
			if d := pg.Differences(before, contents(t, r.live)); len(d) > 0 {
				t.Errorf("it changed something: %s", strings.Join(d, "; "))
			}
		})
	}
}

// psql runs a file as an administrator would.
func psql(t *testing.T, dsn redact.Secret, file string) (string, error) {
	t.Helper()
	path, err := pg.Tool("psql")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return command.Command{Argv: []string{path, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file}, Env: env}.Output(t.Context())
}
