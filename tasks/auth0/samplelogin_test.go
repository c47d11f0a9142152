package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

// api starts MedLogistics' API on the scene and returns its address.
func (s *scene) api(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- medlogistics.API{
			Listen: address, DatabaseURL: s.dsn, Domain: s.server.Domain,
			Audience: "https://api.medlog.app", CAFile: s.server.CAFile, Log: slog.New(slog.DiscardHandler),
		}.Serve(ctx)
	}()
	t.Cleanup(func() { stop(); must(t, <-done) })
	eventually(t, "the API is up", func() bool {
		resp, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// sampler returns the task as a plan would set it up, against a running API.
func (s *scene) sampler(t testing.TB) *SampleLogin {
	return &SampleLogin{
		Access: s.access(), Mapping: s.mapping(),
		Audience: "https://api.medlog.app", URL: s.api(t) + "/api/me", Claim: "https://api.medlog.app/roles",
	}
}

// applications returns how many of the temporary applications are left.
func (s *scene) applications(t testing.TB) int {
	t.Helper()
	_, _, found := s.tenant.Client(sampleApplication)
	if found {
		return 1
	}
	return 0
}

func TestSampleLoginProvesEveryRole(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	s.move(tasktest.Env(t))
	l := s.sampler(t)
	l.Roles["super_admin"] = "super_admin" // nobody has it
	must(t, l.Validate())
	must(t, l.Check(t.Context(), tasktest.Env(t)))
	r, err := l.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	slices.Sort(r.Roles)
	if r.Logins != 3 || !slices.Equal(r.Roles, []string{"doctor", "nurse", "pharmacist"}) || !slices.Equal(r.LeftOut, []string{"super_admin"}) {
		t.Errorf("the receipt says %+v", r)
	}
	logins := 0
	for _, u := range s.tenant.Users() {
		logins += u.Logins
	}
	if logins != 3 {
		t.Errorf("the tenant saw %d logins, want 3", logins)
	}
	if s.applications(t) > 0 {
		t.Error("the temporary application was left behind")
	}
}

func TestSampleLoginLeavesWhoeverHasLoggedInAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(3)) // one of each role
	s.move(tasktest.Env(t))
	must(t, s.tenant.SetPassword("auth0|ml-"+s.text("select id::text from users where role = 'nurse'"), "Chosen-by-th3-nurse"))
	l := s.sampler(t)
	r, err := l.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Logins != 2 || !slices.Equal(r.LeftOut, []string{"nurse"}) {
		t.Errorf("the receipt says %+v", r)
	}
	// What a sample login leaves can be tried again, until its user is mailed.
	r, err = l.Run(t.Context(), tasktest.Env(t))
	if err != nil || r.Logins != 2 {
		t.Errorf("the second run: %v, %+v", err, r)
	}
	_, err = s.resetter().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	_, err = l.Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped {
		t.Errorf("with nobody left to try, the error is %v", err)
	}
}

// Whoever's account a sample login has taken cannot log in, whatever the tenant
// counts of logins and changes of the password, until they set a password.
func TestWhoeverWasSampledStillHasToSetAPassword(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"clocks agree": 0, "the tenant is behind": -time.Hour, "the tenant is ahead": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(30))
			s.tenant.Skew(skew)
			s.move(tasktest.Env(t))
			l := s.sampler(t)
			r, err := l.Run(t.Context(), tasktest.Env(t))
			if skew <= 0 {
				must(t, err)
			}
			m, err := s.resetter().Run(t.Context(), tasktest.Env(t))
			must(t, err)
			if m.Mailed != 30 || m.HavePW != 0 {
				t.Errorf("after %d logins the receipt says %+v", r.Logins, m)
			}
			s.waiting(t, 30)
			s.everybodySets(t)
			s.waiting(t, 0)
		})
	}
}

// everybodySets has every user set a password, as the link in the mail lets them.
func (s *scene) everybodySets(t *testing.T) {
	t.Helper()
	for _, u := range s.tenant.Users() {
		must(t, s.tenant.SetPassword(u.ID, "Somebody-chose-th1s"))
	}
}

// waiting holds how many users auth0/reset-progress finds without a password.
func (s *scene) waiting(t *testing.T, want int64) {
	t.Helper()
	p, err := s.progress().Run(t.Context(), tasktest.Env(t))
	if p.Waiting != want || (err == nil) != (want == 0) {
		t.Errorf("%d users are waiting, want %d: %v", p.Waiting, want, err)
	}
}

// A run that is killed at any of its requests leaves nobody who is taken for one
// with a password.
func TestASampleLoginThatIsKilledLeavesItsMark(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"PATCH /api/v2/users/{id}", "POST /oauth/token"} {
		for after := range 5 {
			t.Run(fmt.Sprintf("%s %d", endpoint, after), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, users(6))
				s.move(tasktest.Env(t))
				l := s.sampler(t)
				ctx, kill := context.WithCancel(t.Context())
				// Nothing gets through any more, as from a process that is killed.
				s.tenant.Fault(emulator.Fault{Endpoint: endpoint, After: after, Count: 1, Do: emulator.HangAfter(time.Minute)})
				done := make(chan struct{})
				go func() { defer close(done); _, _ = l.Run(ctx, tasktest.Env(t)) }()
				eventually(t, "the request hangs or the step is done", func() bool {
					select {
					case <-done:
						return true
					default:
						return s.tenant.Disturbed() == 1
					}
				})
				s.tenant.Fault(emulator.Fault{Endpoint: "PATCH /api/v2/users/{id}", Do: emulator.Status(403)})
				kill()
				<-done
				s.tenant.ClearFaults()
				s.waiting(t, 6)
			})
		}
	}
}

// Whose password has moved keeps it: nobody but they know it, and it works.
func TestSampleLoginLeavesPasswordsThatHaveMovedAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(3))
	s.move(tasktest.Env(t))
	for _, u := range s.tenant.Users() {
		u.AppMetadata[markReset] = false
		must(t, s.tenant.PutUser(u))
	}
	r, err := s.sampler(t).Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped || r.Logins != 0 {
		t.Errorf("the error is %v, the receipt %+v", err, r)
	}
}

func TestSampleLoginKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(40))
	s.move(tasktest.Env(t))
	l := s.sampler(t)
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/sample-login", &SampleLogin{}),
		Configure: func(config any) { *config.(*SampleLogin) = *l },
		Secrets:   []string{l.ClientSecret.Reveal(), "eyJ", "-aZ7"},
	})
}

func TestSampleLoginFailsAndCleansUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*testing.T, *scene, *SampleLogin)
		want  string
	}{
		"nobody was moved": {
			func(_ *testing.T, s *scene, _ *SampleLogin) { s.exec("update users set auth0_user_id = null") },
			"no user of these roles has an Auth0 id",
		},
		"the API refuses the token": {
			func(t *testing.T, s *scene, l *SampleLogin) {
				s.exec("update users set auth0_user_id = auth0_user_id || 'x' where role <> 'nurse'")
				l.URL = strings.Replace(l.URL, "/api/me", "/api/nothing", 1)
			},
			"it answered 404",
		},
		"the API is down": {
			func(_ *testing.T, _ *scene, l *SampleLogin) {
				l.URL, l.Roles = "http://127.0.0.1:1/api/me", map[string]string{"nurse": "nurse"}
			},
			"call the API",
		},
		"the role is not in the claim": {
			func(_ *testing.T, _ *scene, l *SampleLogin) { l.Claim = "https://api.medlog.app/rules" },
			"does not name the role",
		},
		"the account has another role": {
			func(t *testing.T, s *scene, _ *SampleLogin) {
				for _, u := range s.tenant.Users() {
					must(t, s.tenant.SetRoles(u.ID, "super_admin"))
				}
			},
			"does not name the role",
		},
		"no such API in the tenant": {
			func(_ *testing.T, _ *scene, l *SampleLogin) { l.Audience = "https://other.example" },
			"403 access_denied",
		},
		"the token endpoint denies logins": {
			func(_ *testing.T, s *scene, _ *SampleLogin) {
				s.tenant.Fault(emulator.Fault{Endpoint: "POST /oauth/token", After: 1, Do: emulator.Status(403)})
			},
			"ask for a token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(6))
			s.move(tasktest.Env(t))
			l := s.sampler(t)
			c.spoil(t, s, l)
			r, err := l.Run(t.Context(), tasktest.Env(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || task.HintOf(err) == "" {
				t.Errorf("the error is %v with hint %q", err, task.HintOf(err))
			}
			if r.Logins != 0 {
				t.Errorf("the receipt says %+v", r)
			}
			if s.applications(t) > 0 {
				t.Error("the temporary application was left behind")
			}
		})
	}
}

func TestSampleLoginRemovesWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(6))
	s.move(tasktest.Env(t))
	mark := map[string]any{"client_metadata": map[string]any{applicationMark: markValue}}
	s.tenant.AddClient(emulator.Client{Name: sampleApplication, Settings: mark})
	s.tenant.AddClient(emulator.Client{Name: sampleApplication, Settings: mark})
	_, err := s.sampler(t).Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if s.applications(t) > 0 {
		t.Error("a killed run's application is still there")
	}
	s.tenant.AddClient(emulator.Client{Name: sampleApplication}) // a person's, by coincidence
	_, err = s.sampler(t).Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); err != nil && !skipped {
		t.Error(err)
	}
	if s.applications(t) == 0 {
		t.Error("an application without our mark was deleted")
	}
}

func TestSampleLoginCleansUpWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(6))
	s.move(tasktest.Env(t))
	l := s.sampler(t)
	ctx, stop := context.WithCancel(t.Context())
	env := tasktest.Env(t)
	env.Progress = func(int64, int64, string) { stop() } // after the first login
	if _, err := l.Run(ctx, env); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if s.applications(t) > 0 {
		t.Error("the temporary application was left behind")
	}
}

// TestTokensThatAnAPIWouldRefuseAreRefused turns each thing around that makes a
// token good.
func TestTokensThatAnAPIWouldRefuseAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(3))
	s.move(tasktest.Env(t))
	l := s.sampler(t)
	api, _, err := open(l.Access)
	must(t, err)
	conn, err := api.Connection(t.Context(), directory)
	must(t, err)
	app, err := api.CreateApplication(t.Context(), sampleApplication, conn.id)
	must(t, err)
	r, err := openRealm(t.Context(), l, app)
	must(t, err)
	user := s.text("select auth0_user_id from users where role = 'doctor'")
	a, err := api.User(t.Context(), user)
	must(t, err)
	password := temporaryPassword()
	must(t, api.SetPassword(t.Context(), user, password))
	token, err := r.logIn(t.Context(), a.email, password)
	must(t, err)
	if _, err := r.verify(token, user); err != nil {
		t.Fatalf("a good token was refused: %v", err)
	}
	if _, err := r.verify(token, "auth0|somebody-else"); err == nil {
		t.Error("another subject was accepted")
	}
	parts := strings.Split(token.Reveal(), ".")
	if _, err := r.verify(redact.NewSecret(parts[0]+"."+parts[1]+".AAAA"), user); err == nil {
		t.Error("another signature was accepted")
	}
	other := *r
	other.audience = "https://other.example"
	if _, err := other.verify(token, user); err == nil {
		t.Error("another audience was accepted")
	}
	other = *r
	other.access.Domain = "elsewhere.example"
	if _, err := other.verify(token, user); err == nil {
		t.Error("another issuer was accepted")
	}
	other = *r
	must(t, json.Unmarshal([]byte(`{"keys":[]}`), &other.keys))
	other.keys.Keys = nil
	if _, err := other.verify(token, user); err == nil {
		t.Error("an unknown key was accepted")
	}
	for _, wrong := range []string{"", "a.b.c", "opaque"} {
		if _, err := r.verify(redact.NewSecret(wrong), user); err == nil {
			t.Errorf("the token %q was accepted", wrong)
		}
	}
	if _, err := r.logIn(t.Context(), a.email, redact.NewSecret("wrong")); err == nil || strings.Contains(err.Error(), a.email) {
		t.Errorf("a wrong password: %v", err)
	}
}
