package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// The process is killed at the statements that open and close the replaced
// database, and in a soak at every other one.
func TestSalvageKilledAnywhereIsFinishedByTheNextCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			r := rollBack(t, "create table t (id int primary key)", "insert into t values (1)")
			for at := 1; ; at++ {
				env := tasktest.Env(t)
				w := &wire{at: at, after: after}
				finished := runKilled(t, w, newChild(t, "salvage", "DSN="+w.tap(t, r.live).Reveal(),
					"REPLACED="+r.swap.Replaced, "SAVED="+filepath.Join(env.Dir, "saved")))
				env.Saved, _ = os.ReadFile(filepath.Join(env.Dir, "saved"))
				receipt, err := r.salvage().Run(t.Context(), env)
				// Killed at the very end, the child has saved what it found.
				var skip *task.SkipError
				if errors.As(err, &skip) == (err == nil) || finished && err == nil || receipt.Inserted != 1 {
					t.Fatalf("killed at request %d, then: %+v, %v", at, receipt, err)
				}
				wantLines(t, receipt.File, "insert public.t key map[id:1] old - new map[id:1]")
				if conn, err := pg.Connect(t.Context(), postgrestest.ForTest(t).DSN(r.swap.Replaced)); err == nil {
					pg.Close(conn)
					t.Errorf("killed at request %d: the replaced database takes connections", at)
				}
				if n := len(files(t, env.Dir)); n > 5 {
					t.Errorf("killed at request %d: %d files are left", at, n)
				}
				if finished {
					return
				}
			}
		})
	}
}

func salvageChild() {
	s := salvageSpec.New().Config().(*postgres.Salvage)
	s.DSN, s.Replaced = redact.NewSecret(os.Getenv("DSN")), os.Getenv("REPLACED")
	_, err := s.Run(context.Background(), childEnv())
	say("ended:", err)
}
