package schema_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func drift(t *testing.T, dsn redact.Secret, dir task.Path, baseline string) schema.Standing {
	t.Helper()
	standing, err := (&schema.Status{DSN: dsn, Dir: dir, Baseline: baseline, Drift: true}).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if scratches(t, dsn) != 0 {
		t.Error("the scratch database is left")
	}
	return standing
}

func TestDriftIsWhatNoMigrationHasMade(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	first := apply(dsn, dir)
	first.To = "2"
	mustApply(t, first)
	if s := drift(t, dsn, dir, ""); s.Drift != 0 || len(s.Drifted) != 0 || s.Pending != 1 {
		t.Fatalf("without drift: %+v", s)
	}
	do(t, dsn, `alter table wards add column note text;
		create view busy as select * from beds;
		create function busy_count() returns bigint language sql as 'select count(*) from busy';
		alter table beds enable row level security;
		create policy all_beds on beds using (true);
		grant select on beds to public;
		drop index beds_ward_idx;
		create publication feed for table wards;
		comment on table wards is 'by hand'`)
	s := drift(t, dsn, dir, "")
	want := []string{
		"ACL public.TABLE beds is there and should not be",
		"COMMENT public.TABLE wards is there and should not be",
		"FUNCTION public.busy_count() is there and should not be",
		"INDEX public.beds_ward_idx is missing",
		"POLICY public.beds all_beds is there and should not be",
		"PUBLICATION TABLE public.feed wards is there and should not be",
		"PUBLICATION feed is there and should not be",
		"ROW SECURITY public.beds is there and should not be",
		"TABLE public.wards differs",
		"VIEW public.busy is there and should not be",
	}
	if !slices.Equal(s.Drifted, want) || s.Drift != len(want) {
		t.Errorf("drifted:\n%s\nwant:\n%s", strings.Join(s.Drifted, "\n"), strings.Join(want, "\n"))
	}
	text, err := os.ReadFile(s.Report)
	var changes []struct{ Object, Want, Got string }
	if err != nil || json.Unmarshal(text, &changes) != nil || len(changes) != len(want) || !strings.Contains(changes[8].Got, "note text") {
		t.Errorf("report %s, error %v", text, err)
	}
}

func TestTheBaselineIsComparedToo(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	if err := medlogistics.Seed(t.Context(), dsn, 20); err != nil {
		t.Fatal(err)
	}
	if s := drift(t, dsn, "../../schema", "20260101000000"); s.Drift != 0 || s.Version != "20260101000000" {
		t.Errorf("standing %+v", s)
	}
}

func TestHistoryTellsEachVersion(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	dir := write(t, "1_a.sql", "create table a (id int);\n", "2_b.sql", outside+"select 1;\nselect 1/0;\n")
	if _, err := apply(dsn, dir).Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Fatal("it was applied")
	}
	history := strings.Join(status(t, dsn, dir, "").History, "\n")
	shape := regexp.MustCompile(`^1 a: 20\d\d-\S+Z in \d+\S* by phasegate\n2 b: 20\d\d-\S+Z in part, 1 of 2 statements by phasegate$`)
	if !shape.MatchString(history) {
		t.Errorf("history %s", history)
	}
	_, err := (&schema.Status{DSN: dsn, Dir: dir, Drift: true}).Run(t.Context(), tasktest.Env(t))
	fails(t, err, "look for drift: only some statements of 2 are applied")
}
