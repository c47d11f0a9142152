package auth0

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestImportGivesEveryUserOneAccount(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(300), emulator.Limits{Global: emulator.Limit{Burst: 50, Rate: 100, Per: time.Second}})
	env := tasktest.Env(t)
	must(t, s.importer().Validate())
	must(t, s.importer().Check(t.Context(), env))
	r := s.move(env)
	s.exactlyOnce(0)
	if r.Users != 300 || r.Created != 300 || r.Adopted != 0 || r.Failed != 0 || r.SuccessRate != 1 {
		t.Errorf("the receipt says %+v", r)
	}
	if r.RolesAssigned != 300 || r.MustReset != 300 {
		t.Errorf("%d roles assigned and %d must reset, want 300 of each", r.RolesAssigned, r.MustReset)
	}
	if mails := s.tenant.Mails(); len(mails) > 0 {
		t.Errorf("%d mails went out", len(mails))
	}
	// A pace kept by the headers is off by a few on a machine that does other things
	// too; without one, most of the requests would be refused.
	if refused := s.tenant.Requests().Status(429); refused > 15 {
		t.Errorf("%d requests were refused as too fast", refused)
	}
	info, err := os.Stat(r.Report)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the report has mode %o", info.Mode().Perm())
	}
	text, err := os.ReadFile(r.Report)
	must(t, err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(text)); sum != r.ReportSHA256 {
		t.Errorf("the receipt has the report's SHA-256 as %q, and it is %s", r.ReportSHA256, sum)
	}
}

func TestImportCarriesNamesAndMarks(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(90))
	s.move(tasktest.Env(t))
	rows, err := s.db.Query(t.Context(), "select id::text, auth0_user_id, lower(email), coalesce(full_name, '') from users")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id, account, email, name string
		must(t, rows.Scan(&id, &account, &email, &name))
		u, ok := s.tenant.User(account)
		switch {
		case !ok || account != "auth0|ml-"+id:
			t.Errorf("row %s has account %s, found %v", id, account, ok)
		case u.AppMetadata[markRow] != id || !u.EmailVerified || !u.HasPassword:
			t.Errorf("account %s is not marked, confirmed or lacks a password", account)
		case !strings.EqualFold(u.Email, email):
			t.Errorf("account %s has another address than its row", account)
		case name != "" && u.Name != name:
			t.Errorf("account %s has the name %q, its row %q", account, u.Name, name)
		}
	}
	must(t, rows.Err())
}

func TestImportRunAgainDoesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60))
	env := tasktest.Env(t)
	s.move(env)
	s.tenant.ResetRequests()
	r, err := s.importer().Run(t.Context(), env)
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped {
		t.Fatalf("the second run was not skipped: %v", err)
	}
	if r.Users != 60 || r.Already != 60 || r.Created != 0 || r.SuccessRate != 1 {
		t.Errorf("the second receipt says %+v", r)
	}
	if n := s.tenant.Requests().Total("POST /api/v2/users"); n > 0 {
		t.Errorf("the second run sent %d requests to make users", n)
	}
	s.exactlyOnce(0)
}

func TestImportKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(40))
	i := s.importer()
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/import-users", &ImportUsers{}),
		Configure: func(config any) { *config.(*ImportUsers) = *i },
		Secrets:   []string{i.ClientSecret.Reveal()},
	})
}

func TestImportHonoursTheWhereClause(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(80))
	i := s.importer()
	i.Users.Where = "is_active -- only these"
	r, err := i.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	active := s.number("select count(*) from users where is_active")
	if r.Created != int64(active) || s.tenant.CountUsers() != active || active == 80 {
		t.Errorf("%d of %d active users were moved: %+v", s.tenant.CountUsers(), active, r)
	}
}

func TestImportTakesOtherTypesOfIDs(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(3))
	s.exec(`create table "Odd Names" ("The ID" bigint primary key, "E-mail" varchar(200), "Rolle" text, link varchar(80) unique)`)
	s.exec(`insert into "Odd Names" select i, 'user' || i || '@odd.example', 'nurse', null from generate_series(-20, 120) i`)
	i := s.importer()
	i.Users = Users{Table: "Odd Names", ID: "The ID", Email: "E-mail", Auth0ID: "link", Role: "Rolle", IDPrefix: "odd."}
	i.Batch = 17
	r, err := i.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Sweeps != 2 {
		t.Errorf("it took %d sweeps: the pages are out of order", r.Sweeps)
	}
	if r.Created != 141 || s.number(`select count(link) from "Odd Names" where link = 'auth0|odd.' || "The ID"`) != 141 {
		t.Errorf("the receipt says %+v", r)
	}
}

func TestImportCatchesUsersWhoSignUpWhileItRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(200))
	env := tasktest.Env(t)
	added := 0
	env.Progress = func(done, _ int64, _ string) {
		// Ids before and after the cursor, the last of them when all seemed done.
		if done%15 == 0 && added < 12 {
			s.exec(`insert into users (id, email, hashed_password, api_key, role)
				values (gen_random_uuid(), $1, 'x', gen_random_uuid()::text, 'doctor')`, "late"+string(rune('a'+added))+"@medlog.example")
			added++
		}
	}
	r := s.move(env)
	if added != 12 || r.Created != 212 || r.Users != 212 {
		t.Errorf("%d were added, the receipt says %+v", added, r)
	}
	s.exactlyOnce(0)
}

func TestImportEndsWithItsContextAndWritesBackWhatItMade(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(200), emulator.Limits{Global: emulator.Limit{Burst: 60, Rate: 20, Per: time.Second}})
	stopped := errors.New("told to stop")
	ctx, stop := context.WithCancelCause(t.Context())
	env := tasktest.Env(t)
	env.Progress = func(done, _ int64, _ string) {
		if done == 70 {
			stop(stopped)
		}
	}
	began := time.Now()
	r, err := s.importer().Run(ctx, env)
	if !errors.Is(err, stopped) {
		t.Errorf("the error is %v, not the context's cause", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s to end", took)
	}
	linked := int64(s.number("select count(auth0_user_id) from users"))
	if linked < 70 || linked != r.Created {
		t.Errorf("%d ids are written back, the receipt says %+v", linked, r)
	}
	if r.Created+r.Failed != 200 || r.SuccessRate >= 1 {
		t.Errorf("the receipt of a run that was ended says %+v", r)
	}
	s.tenant.SetPlan(emulator.Unlimited)
	s.move(tasktest.Env(t))
	s.exactlyOnce(0)
}

func TestTwoImportsAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"create", "import"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(30))
			s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", Count: 1, Do: emulator.HangAfter(2 * time.Second)})
			first := make(chan error, 1)
			go func() {
				_, err := s.methods()[name].Run(t.Context(), tasktest.Env(t))
				first <- err
			}()
			eventually(t, "the first import is at it", func() bool { return s.tenant.Disturbed() > 0 })
			_, second := s.methods()[name].Run(t.Context(), tasktest.Env(t))
			if second == nil || !strings.Contains(second.Error(), "another phasegate works on it") || task.HintOf(second) == "" {
				t.Errorf("the second import said: %v", second)
			}
			must(t, <-first)
			s.exactlyOnce(0)
		})
	}
}

// Whoever loses the session that holds the lock, to an administrator or a failover,
// does not know that another may be at it: all the same, nobody gets two accounts.
func TestASecondImportAfterALostLockMakesNobodyTwice(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"create", "import"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, users(40), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 2 * time.Second}})
			s.tenant.Fault(emulator.Fault{Endpoint: creating, After: 15, Count: 8, Do: emulator.HangAfter(time.Second)})
			first := make(chan error, 1)
			go func() {
				_, err := s.methods()[name].Run(t.Context(), tasktest.Env(t))
				first <- err
			}()
			eventually(t, "the first import is at it", func() bool { return s.tenant.CountUsers() >= 15 || len(s.tenant.Imports()) > 0 })
			s.exec("select pg_terminate_backend(pid) " + holdersOfTheLock)
			s.unlocked()
			if r, err := s.methods()[name].Run(t.Context(), tasktest.Env(t)); err != nil || r.Failed > 0 || r.Already == 40 {
				t.Errorf("the second import: %v, %+v", err, r)
			}
			if err := <-first; err != nil {
				t.Errorf("the first import: %v", err)
			}
			s.exactlyOnce(0)
		})
	}
}
