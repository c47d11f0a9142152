package schema_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func scratches(t testing.TB, dsn redact.Secret) int {
	t.Helper()
	return query[int](t, dsn, "select count(*) from pg_database where datname = current_database() || '_phasegate_scratch'")
}

func TestLintKeepsTheContract(t *testing.T) {
	t.Parallel()
	dev := postgrestest.Database(t)
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Look("schema/lint", &schema.Lint{}),
		Configure: func(config any) {
			c := config.(*schema.Lint)
			c.Dir, c.After, c.Dev = "../../schema", "20260101000000", dev
		},
		Secrets: []string{dev.Reveal()},
	})
	if scratches(t, dev) != 0 {
		t.Error("the scratch database is left")
	}
}

// risky is a history whose second version is dangerous in two places, one of
// which no text shows: the column is not null already in one table only.
func risky(t *testing.T) task.Path {
	t.Helper()
	return write(t,
		"1_wards.sql", "create table public.wards (id bigint primary key, name text);\n",
		"2_risky.sql", "drop table public.wards;\n\ncreate table public.wards (id bigint primary key);\n",
		"3_more.sql", "do $$ begin alter table public.wards drop column id; end $$;\n")
}

func TestErrorsAreNamedByTheirPlaces(t *testing.T) {
	t.Parallel()
	dir := risky(t)
	env := tasktest.Env(t)
	receipt, err := (&schema.Lint{Dir: dir, After: "1"}).Run(t.Context(), env)
	fails(t, err, "1 error: ", "2_risky.sql:1:6: error: the table public.wards goes [ban-drop-table]")
	if !strings.Contains(task.HintOf(err), "phasegate:ignore RULE reason") {
		t.Errorf("hint %q", task.HintOf(err))
	}
	if receipt.Files != 2 || receipt.Errors != 1 || receipt.Warnings != 0 {
		t.Errorf("receipt %+v", receipt)
	}
	if got := foundIn(t, receipt); !slices.Equal(got, []string{"ban-drop-table"}) {
		t.Errorf("found %v", got)
	}
}

func foundIn(t *testing.T, receipt schema.Linted) []string {
	t.Helper()
	text, err := os.ReadFile(receipt.Report)
	if err != nil {
		t.Fatal(err)
	}
	var findings []struct{ Rule string }
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range findings {
		rules = append(rules, f.Rule)
	}
	return rules
}

func TestAtlasSeesWhatTextDoesNotShow(t *testing.T) {
	t.Parallel()
	dev := postgrestest.Database(t)
	receipt, err := (&schema.Lint{Dir: risky(t), After: "1", Dev: dev}).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "2 errors", "3_more.sql:1:1: error: ", "(Atlas DS103) [ban-drop-column]")
	if got := foundIn(t, receipt); !slices.Equal(got, []string{"ban-drop-table", "ban-drop-column"}) {
		t.Errorf("found %v", got)
	}
	if scratches(t, dev) != 0 || hasTable(t, dev, "wards") {
		t.Error("something is left in the development server")
	}
	_, err = (&schema.Lint{Dir: write(t, "1_a.sql", "create table a (id nosuchtype);\n"), Dev: dev}).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "1_a.sql:1: type \"nosuchtype\" does not exist")
	if scratches(t, dev) != 0 {
		t.Error("the scratch database is left")
	}
}

func TestLintRefusesAVersionThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := (&schema.Lint{Dir: wards(t), After: "8"}).Run(t.Context(), tasktest.Env(t))
	if err == nil || !strings.Contains(err.Error(), "after: version 8 is not among") {
		t.Errorf("error %v", err)
	}
}
