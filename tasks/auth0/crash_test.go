package auth0

import (
	"os/exec"
	"testing"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

func TestImportSurvivesKillAtAnyPoint(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(250))
	dir := t.TempDir()
	kills := 0
	for _, accounts := range []int{1, 49, 50, 51, 120, 171, 249} {
		if s.tenant.CountUsers() >= accounts {
			continue // the last process was that fast
		}
		cmd := s.startImport(dir)
		eventually(t, "enough accounts are there to kill it", func() bool { return s.tenant.CountUsers() >= accounts })
		s.kill(cmd)
		kills++
	}
	if kills < 4 {
		t.Errorf("only %d processes could be killed in time", kills)
	}
	env := tasktest.Env(t)
	env.Dir = dir
	r := s.move(env)
	t.Logf("killed %d times; the last run: %d already, %d created, %d adopted", kills, r.Already, r.Created, r.Adopted)
	if r.Already+r.Created+r.Adopted != 250 || r.Failed != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

// TestImportSurvivesKillBetweenItsSteps kills where a request of one step hangs,
// so that the step before is done and the one after is not.
func TestImportSurvivesKillBetweenItsSteps(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]struct {
		fault emulator.Fault
		sql   string // holds the write-back up
	}{
		"account sent, not made":       {fault: emulator.Fault{Endpoint: "POST /api/v2/users", After: 70, Do: emulator.Hang(60e9)}},
		"accounts made, without roles": {fault: emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", After: 4, Do: emulator.Hang(60e9)}},
		"roles given, ids not written": {sql: "select from users for update"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(150))
			endpoint, reached := at.fault.Endpoint, at.fault.After
			if at.sql != "" {
				endpoint, reached = "POST /api/v2/roles/{id}/users", 2
				s.exec("begin; " + at.sql)
			} else {
				s.tenant.Fault(at.fault)
			}
			cmd := s.startImport(t.TempDir())
			eventually(t, "the step before is done", func() bool {
				return s.tenant.Requests()[endpoint][200]+s.tenant.Requests()[endpoint][201] >= reached
			})
			if at.sql != "" {
				s.untilBlocked(cmd)
				s.exec("rollback")
			} else {
				s.kill(cmd)
			}
			s.tenant.ClearFaults()
			orphans := s.tenant.CountUsers() - s.number("select count(auth0_user_id) from users")
			if orphans == 0 {
				t.Error("no account was without its row when the process was killed: the test proves nothing")
			}
			r := s.move(tasktest.Env(t))
			if r.Adopted != int64(orphans) {
				t.Errorf("%d accounts were without their rows, %d were adopted", orphans, r.Adopted)
			}
			s.exactlyOnce(0)
		})
	}
}

// untilBlocked kills the process when its write-back waits for a row that we
// have locked, and its session with it: the server would else do the work of a
// client that is gone.
func (s *scene) untilBlocked(cmd *exec.Cmd) {
	s.t.Helper()
	const waiting = "from pg_locks where not granted and transactionid = pg_current_xact_id()::xid"
	eventually(s.t, "the write-back waits", func() bool { return s.number("select count(*) "+waiting) > 0 })
	s.kill(cmd)
	s.exec("select pg_terminate_backend(pid) " + waiting)
	eventually(s.t, "its session is gone", func() bool { return s.number("select count(*) "+waiting) == 0 })
}
