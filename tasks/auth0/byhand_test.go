package auth0

// The by-hand procedure that this package replaces went wrong in ten ways. These
// tests are named after those of them that are about users.

import (
	"os"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestByHandFailure03CrashLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(40))
	// The accounts are made; before their ids are written, the process is killed.
	s.exec("begin; select from users for update")
	cmd := s.startImport(t.TempDir())
	s.untilBlocked(cmd)
	s.exec("rollback")
	if s.tenant.CountUsers() != 40 || s.number("select count(auth0_user_id) from users") != 0 {
		t.Fatal("the process was not killed in between")
	}
	r := s.move(tasktest.Env(t))
	if r.Adopted != 40 || r.Failed != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	s.exactlyOnce(0)
}

func TestByHandFailure04TooManyRequestsIsNoFailedUser(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60), emulator.Limits{Global: emulator.Limit{Burst: 10, Rate: 20, Per: time.Second}})
	s.tenant.Fault(emulator.Fault{Endpoint: creating, After: 30, Count: 2, Do: emulator.TooManyRequests})
	r := s.move(tasktest.Env(t))
	if r.Created != 60 || r.Failed != 0 || r.Throttled == 0 {
		t.Errorf("the receipt says %+v", r)
	}
	// One request at a time and a second's sleep for every 20 users, and 429s count as failures.
	if refused := s.tenant.Requests().Status(429); refused > 15 {
		t.Errorf("%d requests were refused as too fast", refused)
	}
	s.exactlyOnce(0)
}

func TestByHandFailure06ReportIsThereWhoeverFailsLast(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 30, Unmigratable: true})
	// The last user in the order of the import is the one who fails.
	s.exec("update users set email = 'no address at all' where id = (select id from users order by id desc limit 1)")
	env := tasktest.Env(t)
	r := s.move(env)
	if got := len(s.report(r.Report)); int64(got) != r.Failed || got < 3 {
		t.Errorf("the report has %d users, the receipt says %+v", got, r)
	}

	// A process that dies leaves the report of what it saw until then.
	s = newScene(t, medlogistics.Population{Users: 30, Unmigratable: true})
	s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", Do: emulator.Hang(time.Minute)})
	dir := t.TempDir()
	cmd := s.startImport(dir)
	eventually(t, "all accounts are made", func() bool { return s.tenant.CountUsers() == 27 })
	eventually(t, "the failures are in the report", func() bool { return len(s.report(dir+"/report.ndjson")) == 3 })
	s.kill(cmd)
	if got := len(s.report(dir + "/report.ndjson")); got != 3 {
		t.Errorf("the report of the killed process has %d users, want 3", got)
	}
}

func TestByHandFailure07NoAddressAndNoNameIsLogged(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 50, Unmigratable: true})
	must(t, s.tenant.PutUser(emulator.User{Email: s.email(s.nth(5))}))
	env := record(t)
	_, err := s.importer().Run(t.Context(), env.Env)
	must(t, err)
	_, err = s.verifier().Run(t.Context(), env.Env)
	if err == nil {
		t.Error("users without an account were not noticed")
	}
	all := env.everything(t) + err.Error() + task.HintOf(err)
	rows, queryErr := s.db.Query(t.Context(), "select email, coalesce(full_name, '') from users")
	must(t, queryErr)
	defer rows.Close()
	for rows.Next() {
		var email, name string
		must(t, rows.Scan(&email, &name))
		if strings.Contains(strings.ToLower(all), strings.ToLower(email)) || name != "" && strings.Contains(all, name) {
			t.Errorf("an address or a name was written: %q", email)
		}
	}
}

func TestByHandFailure08WhoMustSetAPasswordIsCounted(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(20))
	if r := s.move(tasktest.Env(t)); r.MustReset != 20 {
		t.Errorf("%d must set a password, want 20", r.MustReset)
	}
}

func TestByHandFailure10LateUsersSecondRunsAndChangedRows(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60))
	env := tasktest.Env(t)
	var second error
	env.Progress = func(done, _ int64, _ string) {
		switch done {
		case 20: // a second run at the same time
			_, second = s.importer().Run(t.Context(), tasktest.Env(t))
		case 60: // somebody signs up when the last user has been sent
			s.exec(`insert into users (email, hashed_password, api_key, role) values ('late@medlog.example', 'x', 'late', 'nurse')`)
		}
	}
	r := s.move(env)
	if second == nil {
		t.Error("a second run at the same time was let in")
	}
	if r.Created != 61 {
		t.Errorf("the late user was missed: %+v", r)
	}
	s.exactlyOnce(0)
}

func TestSecretsAreWrittenNowhere(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 30, Unmigratable: true})
	env := record(t)
	i := s.importer()
	var errs string
	run := func(err error) {
		if err != nil {
			errs += err.Error() + "\n" + task.HintOf(err) + "\n"
		}
	}
	s.tenant.Fault(emulator.Fault{Endpoint: creating, After: 3, Count: 1, Do: emulator.ResetAfter})
	run(i.Check(t.Context(), env.Env))
	_, err := i.Run(t.Context(), env.Env)
	run(err)
	for range 2 {
		_, err = s.sampler(t).Run(t.Context(), env.Env)
		run(err)
		s.tenant.Fault(emulator.Fault{Endpoint: "GET /.well-known/jwks.json", Do: emulator.Status(403)})
	}
	wrong := s.importer()
	wrong.ClientID = "nobody"
	_, err = wrong.Run(t.Context(), env.Env)
	run(err)
	all := env.everything(t) + errs
	password := strings.Split(strings.Split(s.dsn.Reveal(), "@")[0], ":")
	canaries := map[string]string{
		"client secret": i.ClientSecret.Reveal(), "JWT": "eyJ", "generated password": "-aZ7",
		"database password": password[len(password)-1],
	}
	for what, canary := range canaries {
		if len(canary) >= 3 && strings.Contains(all, canary) {
			t.Errorf("a %s was written", what)
		}
	}
	if len(errs) == 0 || !strings.Contains(all, "report") {
		t.Error("nothing was written at all: the test proves nothing")
	}
	if _, err := os.Stat(env.Dir + "/report.ndjson"); err != nil {
		t.Error(err)
	}
}
