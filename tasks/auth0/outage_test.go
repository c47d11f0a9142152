package auth0

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// methods are the ways to move users, as tests configure them.
func (s *scene) methods() map[string]*ImportUsers {
	one, jobs := s.importer(), s.bulk()
	one.RunID = jobs.RunID
	return map[string]*ImportUsers{"create": one, "import": jobs}
}

// TestImportSitsOutATenantThatIsDown lets every endpoint fail for longer than any
// request is repeated, in the middle of the move; for ten minutes in make soak.
func TestImportSitsOutATenantThatIsDown(t *testing.T) {
	t.Parallel()
	down := 10 * time.Second // call gives up after 7.5
	if os.Getenv("PHASEGATE_SOAK") != "" {
		down = 10 * time.Minute
	}
	for _, name := range []string{"create", "import"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, users(80), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 100 * time.Millisecond}})
			after := map[string]int{"create": 40, "import": 6}[name]
			s.tenant.Fault(emulator.Fault{After: after, Do: emulator.Status(503)})
			up := make(chan struct{})
			go func() {
				defer close(up)
				for s.tenant.Disturbed() == 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(down)
				s.tenant.ClearFaults()
			}()
			i := s.methods()[name]
			i.Patience = 15 * time.Minute // as tasks.All sets it
			r, err := i.Run(t.Context(), tasktest.Env(t))
			must(t, err)
			<-up
			if r.Created+r.Adopted != 80 || r.Failed != 0 || r.Took < down.Seconds() {
				t.Errorf("the receipt says %+v", r)
			}
			s.exactlyOnce(0)
		})
	}
}

func TestImportInJobsGetsItsDatabaseConnectionBack(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(60), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 400 * time.Millisecond}})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		eventually(t, "a job is under way", func() bool { return len(s.tenant.Imports()) > 0 })
		s.exec(`select pg_terminate_backend(pid) from pg_stat_activity
			where application_name = 'phasegate' and datname = current_database()`)
	}()
	r := s.moveBulk(tasktest.Env(t))
	<-killed
	if r.Created != 60 || r.Failed != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

// TestEveryAccountWithoutARowIsInTheReport ends runs in the middle and holds what
// they leave against the report.
func TestEveryAccountWithoutARowIsInTheReport(t *testing.T) {
	t.Parallel()
	roles, reading := "POST /api/v2/roles/{id}/users", "GET /api/v2/users/{id}"
	for name, c := range map[string]struct {
		method string
		faults []emulator.Fault
		cancel bool // when the answers of all workers are lost
		before func(*scene)
	}{
		"create, given up on":  {method: "create", faults: []emulator.Fault{{Endpoint: roles, After: 1, Do: emulator.Status(503)}}},
		"import, given up on":  {method: "import", faults: []emulator.Fault{{Endpoint: roles, After: 1, Do: emulator.Status(503)}}},
		"create, cancelled":    {method: "create", faults: []emulator.Fault{{Endpoint: creating, Count: 8, Do: emulator.ResetAfter}}, cancel: true},
		"create, then refused": {method: "create", faults: []emulator.Fault{{Endpoint: creating, Count: 8, Do: emulator.ResetAfter}, {Endpoint: creating, Do: emulator.Status(403)}}},
		"create, reads refused": {method: "create", faults: []emulator.Fault{
			{Endpoint: creating, Count: 8, Do: emulator.ResetAfter}, {Endpoint: reading, Do: emulator.Status(403)},
		}},
		"import, reads refused": {
			method: "import", faults: []emulator.Fault{{Endpoint: reading, Do: emulator.Status(403)}}, before: (*scene).movedBefore,
		},
		"import, vanished, then refused": {method: "import", faults: []emulator.Fault{
			{Endpoint: importing, Count: 1, Do: emulator.JobVanishes}, {Endpoint: importing, Do: emulator.Status(403)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(30))
			if c.before != nil {
				c.before(s)
			}
			for _, f := range c.faults {
				s.tenant.Fault(f)
			}
			i := s.methods()[c.method]
			i.Patience = time.Second
			env := tasktest.Env(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if c.cancel {
				i.Patience = time.Minute
				go func() {
					defer stop()
					eventually(t, "the answers are lost", func() bool { return s.tenant.Disturbed() >= 8 })
				}()
			}
			r, err := i.Run(ctx, env)
			if err == nil {
				t.Fatal("it did not end early")
			}
			s.orphansAreReported(r)
			s.tenant.ClearFaults()
			must(t, ignoreSkip(s.methods()[c.method].Run(t.Context(), env)))
			s.exactlyOnce(0)
		})
	}
}

// movedBefore leaves everybody with an account and no id.
func (s *scene) movedBefore() {
	s.moveBulk(tasktest.Env(s.t))
	s.exec("update users set auth0_user_id = null")
}

// orphansAreReported fails the test unless there are accounts without a row, and
// all of them are in the report and its table.
func (s *scene) orphansAreReported(r Imported) {
	s.t.Helper()
	reported := map[string]bool{}
	for _, f := range s.report(r.Report) {
		reported[f.User] = true
	}
	table, err := os.ReadFile(r.Table)
	must(s.t, err)
	orphans := 0
	for _, u := range s.tenant.Users() {
		if s.number("select count(*) from users where auth0_user_id = $1", u.ID) > 0 {
			continue
		}
		orphans++
		if !reported[u.ID] || !strings.Contains(string(table), u.ID+",") {
			s.t.Errorf("account %s has no row and is not in the report", u.ID)
		}
	}
	if orphans == 0 {
		s.t.Error("no account was left without its row: the test proves nothing")
	}
}
