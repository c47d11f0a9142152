package auth0

import (
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
// request is repeated, in the middle of the move.
func TestImportSitsOutATenantThatIsDown(t *testing.T) {
	t.Parallel()
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
				time.Sleep(10 * time.Second) // call gives up after 7.5
				s.tenant.ClearFaults()
			}()
			r, err := s.methods()[name].Run(t.Context(), tasktest.Env(t))
			must(t, err)
			<-up
			if r.Created+r.Adopted != 80 || r.Failed != 0 || r.Took < 10 {
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

// TestEveryAccountWithoutARowIsInTheReport gives up on a tenant in the middle and
// holds what it leaves against the report.
func TestEveryAccountWithoutARowIsInTheReport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"create", "import"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(30))
			s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", After: 1, Do: emulator.Status(503)})
			i := s.methods()[name]
			i.Patience = time.Second
			env := tasktest.Env(t)
			r, err := i.Run(t.Context(), env)
			if err == nil {
				t.Fatal("it did not give up")
			}
			reported := map[string]bool{}
			for _, f := range s.report(r.Report) {
				reported[f.User] = true
			}
			orphans := 0
			for _, u := range s.tenant.Users() {
				if s.number("select count(*) from users where auth0_user_id = $1", u.ID) == 0 {
					orphans++
					if !reported[u.ID] {
						t.Errorf("account %s has no row and is not in the report", u.ID)
					}
				}
			}
			if orphans == 0 {
				t.Error("no account was left without its row: the test proves nothing")
			}
			s.tenant.ClearFaults()
			must(t, ignoreSkip(s.methods()[name].Run(t.Context(), env)))
			s.exactlyOnce(0)
		})
	}
}
