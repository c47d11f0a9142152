package auth0

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

const importing = "POST /api/v2/jobs/users-imports"

// bulk returns the importer that moves users and their hashes in jobs.
func (s *scene) bulk() *ImportUsers {
	i := s.importer()
	i.Method, i.Users.PasswordHash, i.RunID = Import, "hashed_password", "run-1"
	return i
}

// moveBulk runs it, which must succeed.
func (s *scene) moveBulk(env *task.Env) Imported {
	s.t.Helper()
	receipt, err := s.bulk().Run(s.t.Context(), env)
	if _, skipped := errors.AsType[*task.SkipError](err); err != nil && !skipped {
		s.t.Fatalf("import: %v (%s)", err, task.HintOf(err))
	}
	return receipt
}

func TestJobsGiveEveryUserOneAccountAndKeepTheirPasswords(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(3000), emulator.Config{
		Plan: emulator.PrivateCloud, Jobs: emulator.JobSpeed{Start: 20 * time.Millisecond, PerUser: 50 * time.Microsecond},
	})
	hash, err := bcrypt.GenerateFromPassword([]byte("what Anna always typed"), 10)
	must(t, err)
	row := s.nth(7)
	s.exec("update users set hashed_password = $1 where id = $2", strings.Replace(string(hash), "$2a$", "$2b$", 1), row)
	i := s.bulk()
	must(t, i.Validate())
	r, err := i.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	s.exactlyOnce(0)
	if r.Method != "import" || r.Created != 3000 || r.Failed != 0 || r.Hashes != 3000 || r.MustReset != 0 || r.JobsDone < 2 || len(r.Jobs) > 0 {
		t.Errorf("the receipt says %+v", r)
	}
	if mails := s.tenant.Mails(); len(mails) > 0 {
		t.Errorf("%d mails went out", len(mails))
	}
	if n := s.tenant.Requests().Total("GET /api/v2/users/{id}") + s.tenant.Requests().Total(creating); n > 0 {
		t.Errorf("%d users were read back or made one by one", n)
	}
	jobs := s.tenant.Imports()
	for n, job := range jobs {
		if job.Bytes > largestImport || n < len(jobs)-1 && job.Bytes < largestImport*95/100 {
			t.Errorf("job %d of %d has %d bytes", n+1, len(jobs), job.Bytes)
		}
	}
	if !s.canLogIn(s.email(row), "what Anna always typed") {
		t.Error("the password did not move")
	}
	u, _ := s.tenant.User("auth0|ml-" + row)
	if u.AppMetadata[markRun] != "run-1" || u.AppMetadata[markReset] != false || u.AppMetadata[markRow] != row {
		t.Errorf("the account is marked %v", u.AppMetadata)
	}
}

// canLogIn asks the token endpoint.
func (s *scene) canLogIn(email, password string) bool {
	s.t.Helper()
	id, secret, _ := s.tenant.Client("MedLogistics Sample Login")
	body, err := json.Marshal(map[string]string{
		"grant_type": passwordRealm, "realm": directory, "client_id": id, "client_secret": secret,
		"username": email, "password": password, "audience": "https://api.medlog.app",
	})
	must(s.t, err)
	resp, err := s.server.Client().Post(s.server.URL+"/oauth/token", "application/json", bytes.NewReader(body))
	must(s.t, err)
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestJobsComeThroughTrouble(t *testing.T) {
	t.Parallel()
	job, errs := "GET /api/v2/jobs/{id}", "GET /api/v2/jobs/{id}/errors"
	for name, faults := range map[string][]emulator.Fault{
		"a job fails":                         {{Endpoint: importing, Count: 1, Do: emulator.JobFails}},
		"a job vanishes when it has its work": {{Endpoint: importing, Count: 1, Do: emulator.JobVanishes}},
		"the start's answer is lost":          {{Endpoint: importing, Count: 1, Do: emulator.ResetAfter}},
		"the start is refused for trouble":    {{Endpoint: importing, Count: 2, Do: emulator.Status(503)}},
		"looks fail":                          {{Endpoint: job, Count: 3, Do: emulator.Status(502)}},
		"the errors come late":                {{Endpoint: errs, Count: 2, Do: emulator.ResetBefore}},
		"the token expires":                   {{Endpoint: job, Count: 1, Do: emulator.ExpiredToken}},
		"a storm of 429s":                     {{After: 4, Count: 6, Do: emulator.TooManyRequests}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, users(150), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 50 * time.Millisecond}})
			for _, f := range faults {
				s.tenant.Fault(f)
			}
			r := s.moveBulk(tasktest.Env(t))
			if r.Created != 150 || r.Adopted != 0 || r.Failed != 0 || r.Hashes != 150 || len(r.Jobs) > 0 {
				t.Errorf("the receipt says %+v", r)
			}
			s.exactlyOnce(0)
		})
	}
}

func TestAJobThatHangsIsLeftAndItsUsersAreTakenUpAgain(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(20), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 600 * time.Millisecond}})
	i := s.bulk()
	i.JobTimeout = 200 * time.Millisecond
	r, err := i.Run(t.Context(), tasktest.Env(t))
	// Both tries hang for us; in the meantime the first has made everybody.
	if err == nil || r.ByReason[string(jobFailed)] != 20 || r.Transient != 20 {
		t.Fatalf("the error is %v, the receipt %+v", err, r)
	}
	must(t, ignoreSkip(s.bulk().Run(t.Context(), tasktest.Env(t))))
	s.exactlyOnce(0)
}

func ignoreSkip(_ Imported, err error) error {
	if _, skipped := errors.AsType[*task.SkipError](err); skipped {
		return nil
	}
	return err
}

func TestUsersWithoutAHashAreMadeOneByOneWhereJobsComeToNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	s.tenant.Fault(emulator.Fault{Endpoint: importing, Do: emulator.JobFails})
	i := s.bulk()
	i.Users.PasswordHash = ""
	r, err := i.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Created != 30 || r.MustReset != 30 || s.tenant.Requests().Total(creating) != 30 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

func TestJobsReportWhomTheyRefuse(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 200, Unmigratable: true})
	mallory, hash, renamed := s.nth(20), s.nth(21), s.nth(22)
	must(t, s.tenant.PutUser(emulator.User{Email: s.email(mallory)}))
	must(t, s.tenant.PutUser(emulator.User{
		ID: "auth0|ml-" + renamed, Email: "former@medlog.example", AppMetadata: mark(row{id: renamed, role: "nurse"}),
	}))
	s.exec(`update users set hashed_password = '{"algorithm":"rot13","hash":{"value":"x"}}' where id = $1`, hash)
	r := s.moveBulk(tasktest.Env(t))
	got := reasonsOf(s.report(r.Report))
	for row, why := range map[string]reason{mallory: foreignAccount, hash: badHash, renamed: otherAddress} {
		if got[row] != why {
			t.Errorf("row %s failed for %q, want %q", row, got[row], why)
		}
	}
	if r.Permanent != 6 || r.Created != 194 || r.ByReason["invalid-email"] != 1 || r.ByReason["duplicate-email"] != 2 {
		t.Errorf("the receipt says %+v", r)
	}
}

func TestJobsAdoptAFewByReadingAndManyByAnExport(t *testing.T) {
	t.Parallel()
	for _, n := range []int{40, 300} {
		s := newScene(t, users(n))
		s.moveBulk(tasktest.Env(t))
		s.exec("update users set auth0_user_id = null")
		r := s.moveBulk(tasktest.Env(t))
		if r.Adopted != int64(n) || r.Created != 0 || r.MustReset != 0 {
			t.Errorf("the receipt says %+v", r)
		}
		exports := s.tenant.Requests().Total("POST /api/v2/jobs/users-exports")
		if (exports == 1) != (n > mostReads) {
			t.Errorf("%d users were adopted by %d exports", n, exports)
		}
		s.exactlyOnce(0)
	}
}

func TestAJobOfSomebodyElseIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(30), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 700 * time.Millisecond}})
	api, _, err := open(s.access())
	must(t, err)
	conn, err := api.Connection(t.Context(), directory)
	must(t, err)
	for range 2 {
		_, err := api.StartImport(t.Context(), conn.id, "somebody's", []map[string]any{{"email": "x@else.example"}})
		must(t, err)
	}
	if _, err := api.StartImport(t.Context(), conn.id, "", []map[string]any{}); !errors.Is(err, errBusy) {
		t.Fatalf("a third job: %v", err)
	}
	r := s.moveBulk(tasktest.Env(t))
	if r.Created != 30 || r.Throttled != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

func TestJobsKeepTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(40))
	i := s.bulk()
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/import-users", &ImportUsers{}),
		Configure: func(config any) { *config.(*ImportUsers) = *i },
		Secrets:   []string{i.ClientSecret.Reveal(), "$2b$10$"},
	})
}
