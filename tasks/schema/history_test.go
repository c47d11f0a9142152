package schema_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/schema"
)

func TestAFileThatWasAppliedStaysAsItWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		baseline string
		file     string
		text     string // "" to remove it
		want     string // in the error, "" for none
	}{
		"the first is changed":   {"", "1_wards.sql", "create table wards (id bigint);\n", "1_wards.sql was changed after version 1 had been applied"},
		"a later one is changed": {"", "2_beds.sql", "select 1;\n", "2_beds.sql was changed after version 2 had been applied"},
		"the last is changed":    {"", "3_floor.sql", "select 1;\n", "3_floor.sql was changed after version 3 had been applied"},
		"one is gone":            {"", "2_beds.sql", "", "version 2 (beds) was applied to the database, and its file is not among the migrations"},
		"a pending one is added": {"", "4_more.sql", "create table more (id int);\n", ""},
		"one behind a baseline":  {"1", "2_beds.sql", "select 1;\n", "2_beds.sql, or a file before it, was changed after version 2 had been applied"},
		"a later one behind it":  {"1", "3_floor.sql", "select 1;\n", "3_floor.sql was changed after version 3 had been applied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, dir := postgrestest.Database(t), wards(t)
			a := apply(dsn, dir)
			if c.baseline != "" {
				do(t, dsn, "create table wards (id int primary key, name text not null)")
				a.Baseline = c.baseline
			}
			mustApply(t, a)
			path := filepath.Join(string(dir), c.file)
			if c.text == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			hash(t, string(dir))
			_, looked := (&schema.Status{DSN: dsn, Dir: dir}).Run(t.Context(), tasktest.Env(t))
			_, applied := apply(dsn, dir).Run(t.Context(), tasktest.Env(t))
			for name, err := range map[string]error{"status": looked, "apply": applied} {
				if c.want == "" && err != nil {
					t.Errorf("%s: %v", name, err)
				} else if c.want != "" {
					fails(t, err, c.want)
				}
			}
		})
	}
}

// A file before the baseline was never applied: it is not in the history.
func TestWhatIsBeforeTheBaselineNeedNotBeInTheHistory(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	do(t, dsn, "create table wards (id int primary key, name text not null); create table beds (id int)")
	a := apply(dsn, dir)
	a.Baseline = "2"
	mustApply(t, a)
	if s := status(t, dsn, dir, ""); s.Version != "3" || s.Applied != 2 {
		t.Errorf("standing %+v", s)
	}
}
