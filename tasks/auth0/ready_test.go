package auth0

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

// startTenant serves MedLogistics' tenant without a database.
func startTenant(t testing.TB) (*emulator.Tenant, *Ready) {
	t.Helper()
	tenant := emulator.NewTenant(emulator.Config{Plan: emulator.PrivateCloud, Seed: emulator.MedLogistics()})
	server, err := tenant.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	id, secret := tenant.ManagementClient()
	return tenant, &Ready{
		Access: Access{
			Domain: server.Domain, ClientID: id, ClientSecret: redact.NewSecret(secret), CAFile: server.CAFile, Share: 1,
		},
		Connection: directory, Scopes: []string{"create:users", "read:users", "update:users"},
		Roles: []string{"doctor", "nurse", "pharmacist", "super_admin"},
	}
}

func TestReadySaysWhatATenantThatIsReadyLooksLike(t *testing.T) {
	t.Parallel()
	_, ready := startTenant(t)
	must(t, ready.Validate())
	must(t, ready.Check(t.Context(), tasktest.Env(t)))
	r, err := ready.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Domain != ready.Domain || !strings.HasPrefix(r.ConnectionID, "con_") || r.Applications != 2 || r.Roles != 4 || r.RateLimit != 50 || r.Scopes < 3 {
		t.Errorf("the receipt says %+v", r)
	}
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Look("auth0/ready", &Ready{}),
		Configure: func(config any) { *config.(*Ready) = *ready },
		Secrets:   []string{ready.ClientSecret.Reveal()},
	})
}

func TestReadyReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	tenant, ready := startTenant(t)
	ready.Scopes = append(ready.Scopes, "delete:everything")
	ready.Roles = append(ready.Roles, "Janitor")
	tenant.SetTemplate("verify_email", true)
	tenant.SetTemplate("welcome_email", true)
	tenant.SetConnection(directory, false, "MedLogistics Admin Frontend", "MedLogistics Sample Login")
	_, err := ready.Run(t.Context(), tasktest.Env(t))
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, want := range []string{
		"lacks the scopes delete:everything", "no role Janitor", "verify_email is on", "welcome_email is on", "enabled for no application",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for _, want := range []string{"client grant", "make the roles", "switch the template off", "enable it for the application"} {
		if !strings.Contains(task.HintOf(err), want) {
			t.Errorf("the hint does not say %q: %v", want, task.HintOf(err))
		}
	}
}

func TestReadyTakesATemplateThatWasNeverSetUpForOff(t *testing.T) {
	t.Parallel()
	seed := emulator.MedLogistics()
	seed.Templates = nil
	tenant := emulator.NewTenant(emulator.Config{Plan: emulator.Unlimited, Seed: seed})
	server, err := tenant.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	_, ready := startTenant(t)
	id, secret := tenant.ManagementClient()
	ready.Domain, ready.CAFile, ready.ClientID, ready.ClientSecret = server.Domain, server.CAFile, id, redact.NewSecret(secret)
	if _, err := ready.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Error(err)
	}
}

func TestReadyNamesTheCauseOfNoToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil      func(*emulator.Tenant, *Ready)
		want, hint string
	}{
		"wrong secret": {
			func(_ *emulator.Tenant, r *Ready) { r.ClientSecret = redact.NewSecret("not the secret") },
			"401 access_denied", "client_secret",
		},
		"wrong domain": {
			func(_ *emulator.Tenant, r *Ready) { r.Domain = "no-such-tenant.invalid" },
			"no-such-tenant.invalid", "check the domain",
		},
		"CA file missing": {
			func(_ *emulator.Tenant, r *Ready) { r.CAFile = "/nowhere/ca.pem" },
			"read ca_file", "",
		},
		"CA file without a certificate": {
			func(_ *emulator.Tenant, r *Ready) { r.CAFile = "ready_test.go" },
			"no certificate in it", "PEM",
		},
		"tenant in trouble": {
			func(t *emulator.Tenant, _ *Ready) {
				t.Fault(emulator.Fault{Endpoint: "POST /oauth/token", Do: emulator.Status(503)})
			},
			"answered 503", "status.auth0.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, ready := startTenant(t)
			c.spoil(tenant, ready)
			for _, err := range []error{ready.Check(t.Context(), tasktest.Env(t)), runError(t, ready)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(task.HintOf(err), c.hint) {
					t.Errorf("the error is %v with hint %q", err, task.HintOf(err))
				}
				if err != nil && strings.Contains(err.Error()+task.HintOf(err), ready.ClientSecret.Reveal()) {
					t.Error("the error holds the secret")
				}
			}
		})
	}
}

func runError(t *testing.T, ready *Ready) error {
	_, err := ready.Run(t.Context(), tasktest.Env(t))
	return err
}

func TestATokenEndpointThatIsTooBusyIsWaitedFor(t *testing.T) {
	t.Parallel()
	tenant, ready := startTenant(t)
	tenant.Fault(emulator.Fault{Endpoint: "POST /oauth/token", Count: 2, Do: emulator.TooManyRequests})
	if _, err := ready.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Error(err)
	}
}

// TestTheScopesThatTheTasksNameAreEnough gives the application only the scopes
// that each task's reference names.
func TestTheScopesThatTheTasksNameAreEnough(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(12))
	id, _ := s.tenant.ManagementClient()
	only := func(scopes ...string) {
		s.tenant.ExpireTokens()
		s.tenant.Grant(id, emulator.Management, scopes...)
	}
	only("read:connections", "read:roles", "read:email_templates")
	ready := &Ready{Access: s.access(), Connection: directory, Roles: []string{"nurse"}}
	_, err := ready.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	moving := []string{
		"create:users", "read:users", "update:users", "read:connections", "read:roles",
		"create:role_members", "delete:role_members",
	}
	only(moving...)
	s.move(tasktest.Env(t))
	s.exec("update users set auth0_user_id = null")
	s.exec("update users set role = 'doctor' where role = 'nurse'")
	s.move(tasktest.Env(t))
	s.exactlyOnce(0)
	only("read:users", "read:connections", "read:roles", "read:role_members")
	_, err = s.verifier().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	only("read:users", "update:users", "read:connections", "update:connections", "read:roles", "read:clients", "create:clients", "delete:clients")
	_, err = s.sampler(t).Run(t.Context(), tasktest.Env(t))
	must(t, err)
}
