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
)

func TestSwapLeavesTheLiveDatabaseOpenWhereverTheConnectionIsLost(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			live, back := pair(t)
			for at := 1; ; at++ {
				w := &wire{at: at, after: after}
				w.happen = w.cut
				env := tasktest.Env(t)
				_, err := swap(w.tap(t, live), back).Run(t.Context(), env)
				where := fmt.Sprintf("cut at request %d", at)
				checkSwapped(t, live, where, err == nil)
				back = swapOnAndBack(t, live, back, env, where)
				if !w.reached() {
					t.Logf("cut at each of %d requests", at-1)
					return
				}
			}
		})
	}
}

func TestSwapKilledAnywhereIsFinishedByTheNextCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			live, back := pair(t)
			file := filepath.Join(t.TempDir(), "saved")
			for at := 1; ; at++ {
				_ = os.Remove(file)
				w := &wire{at: at, after: after}
				finished := runKilled(t, w, newChild(t, "swap", "DSN="+w.tap(t, live).Reveal(), "TO="+back, "SAVED="+file))
				env := tasktest.Env(t)
				env.Saved, _ = os.ReadFile(file)
				back = swapOnAndBack(t, live, back, env, fmt.Sprintf("killed at request %d", at))
				if finished {
					t.Logf("killed at each of %d requests", at-1)
					return
				}
			}
		})
	}
}

func swapChild() {
	_, err := swap(redact.NewSecret(os.Getenv("DSN")), os.Getenv("TO")).Run(context.Background(), childEnv())
	say("ended:", err)
}

// swapOnAndBack calls the swap again, as the next call would after a failure,
// looks whether it is done, and undoes it for the next round. It returns the
// name of the database to go back to then.
func swapOnAndBack(t *testing.T, live redact.Secret, back string, env *task.Env, where string) string {
	t.Helper()
	receipt, err := swap(live, back).Run(t.Context(), env)
	var skip *task.SkipError
	if err != nil && !errors.As(err, &skip) {
		t.Fatalf("%s, then: %v", where, err)
	}
	checkSwapped(t, live, where+", and called again", true)
	if v := value[string](t, opened(t, receipt.Replaced), "select v from t"); v != "after" {
		t.Fatalf("%s, and called again: the replaced database has %q", where, v)
	}
	undo := swap(live, receipt.Replaced)
	undo.RunID = "undo"
	undone, err := undo.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatalf("%s, taken back: %v", where, err)
	}
	// The name that the next round's copy has to have.
	execute(t, postgrestest.ForTest(t).DSN(pg.Maintenance), fmt.Sprintf("alter database %s rename to %s", undone.Replaced, back))
	return back
}

// checkSwapped fails the test unless the live database is open and holds what it
// should.
func checkSwapped(t *testing.T, live redact.Secret, where string, swapped bool) {
	t.Helper()
	want := map[bool]string{true: "before", false: "after"}[swapped]
	conn, err := pg.Connect(t.Context(), live)
	if err != nil {
		t.Fatalf("%s: the live database is not open: %v", where, err)
	}
	defer pg.Close(conn)
	var v string
	if err := conn.QueryRow(t.Context(), "select v from t").Scan(&v); err != nil || v != want {
		t.Fatalf("%s: the live database has %q, %v, want %q", where, v, err, want)
	}
}

func TestSwapIsDoneOrUndoneWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	live, back := pair(t)
	stop := errors.New("stopped by the operator")
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := &wire{at: at, after: true, happen: func() { cancel(stop) }}
		env := tasktest.Env(t)
		_, err := swap(w.tap(t, live), back).Run(ctx, env)
		where := fmt.Sprintf("stopped at request %d", at)
		checkSwapped(t, live, where, err == nil)
		back = swapOnAndBack(t, live, back, env, where)
		cancel(nil)
		if !w.reached() {
			return
		}
	}
}
