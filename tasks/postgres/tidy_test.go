package postgres_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func tidy(dsn redact.Secret) *postgres.Tidy {
	t := tidySpec.New().Config().(*postgres.Tidy)
	t.DSN = dsn
	return t
}

func TestTidyKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	tasktest.Conform(t, tasktest.Case{
		Spec:      tidySpec,
		Configure: func(config any) { *config.(*postgres.Tidy) = *tidy(dsn) },
		Secrets:   []string{password(t, dsn)},
	})
}

// A run that is rolled back never comes to its stage again: what that has left is
// gone all the same, and a copy that is complete stays.
func TestStageKilledAnywhereLeavesNothingBehindATidy(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (id int); insert into t values (1), (2)")
	for at, tidied := 1, 0; ; at++ {
		w := &wire{at: at, after: at%2 == 0}
		finished := runKilled(t, w, newChild(t, "stage", "DSN="+w.tap(t, dsn).Reveal(), "SAVED="+filepath.Join(t.TempDir(), "saved")))
		receipt, err := tidy(dsn).Run(t.Context(), tasktest.Env(t))
		var skip *task.SkipError
		if err != nil && !errors.As(err, &skip) {
			t.Fatalf("killed at request %d, then: %v", at, err)
		}
		tidied += len(receipt.Dropped)
		copied := name(t, dsn) + "_pre_run_7"
		if got := databases(t, dsn); len(got) > 2 || len(got) == 2 && got[1] != copied {
			t.Fatalf("killed at request %d, then there are %q", at, got)
		}
		execute(t, postgrestest.ForTest(t).DSN(pg.Maintenance), "drop database if exists "+copied+" with (force)")
		if finished {
			if tidied == 0 {
				t.Error("no kill left anything to tidy up")
			}
			return
		}
	}
}

func TestTidyDropsUnfinishedCopiesOfItsDatabaseOnly(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	live := name(t, dsn)
	maintenance := postgrestest.ForTest(t).DSN(pg.Maintenance)
	const mark = " connection limit 1830257" // as a copy has it until it is complete
	left := []string{live + "_pre_killed_new", live + "_phasegate_rehearsal", live + "_phasegate_scratch"}
	kept := map[string]string{
		live + "_pre_whole":             "",   // a complete copy
		live + "_pre_by_hand_new":       "",   // has the form of the name, but not the mark
		live + "_replaced_run":          "",   // what a swap has kept
		live + "_marked":                mark, // has the mark, but not the form
		"other_" + live + "_pre_x_new":  mark, // another database's
		live + "_phasegate_rehearsal_2": "",
	}
	for _, database := range left {
		limit := ""
		if database == left[0] {
			limit = mark
		}
		execute(t, maintenance, "create database "+database+limit)
		dropLater(t, database)
	}
	for database, limit := range kept {
		execute(t, maintenance, "create database "+database+limit)
		dropLater(t, database)
	}
	receipt, err := tidy(dsn).Run(t.Context(), tasktest.Env(t))
	slices.Sort(left)
	if err != nil || !slices.Equal(receipt.Dropped, left) || receipt.Database != live {
		t.Errorf("receipt = %+v, %v, want %q", receipt, err, left)
	}
	for database := range kept {
		if n := value[int](t, maintenance, fmt.Sprintf("select count(*) from pg_database where datname = '%s'", database)); n != 1 {
			t.Errorf("%s is gone", database)
		}
	}
	_, err = tidy(dsn).Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped {
		t.Errorf("a second time: %v", err)
	}
}

func TestTidyLeavesTheCopyOfAStageAtWorkAlone(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	lock, err := pg.Acquire(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	copied := name(t, dsn) + "_pre_run_new"
	execute(t, postgrestest.ForTest(t).DSN(pg.Maintenance), "create database "+copied+" connection limit 1830257")
	dropLater(t, copied)
	_, err = tidy(dsn).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "another phasegate works on it", "")
	if got := databases(t, dsn); len(got) != 2 {
		t.Errorf("there are %q", got)
	}
}
