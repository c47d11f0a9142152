package auth0

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

const (
	frontend  = "MedLogistics Admin Frontend"
	backend   = "https://api.medlog.app"
	roleClaim = "exports.onExecutePostLogin = async (event, api) => { /* the roles */ };\n"
)

// blueprint is MedLogistics' tenant as a plan declares it.
func blueprint() Blueprint {
	scopes := map[string]string{
		"read:hospitals": "See hospitals", "write:hospitals": "Change hospitals",
		"read:users": "See users", "write:users": "Change users",
	}
	return Blueprint{
		Applications: []Application{
			{
				Name: frontend, Type: "spa", AuthMethod: "none", Algorithm: "RS256", Conformant: true,
				GrantTypes: []string{"authorization_code", "refresh_token"},
				Callbacks:  []string{"https://admin.medlog.app", "https://admin.medlog.app/callback"},
				LogoutURLs: []string{"https://admin.medlog.app"}, WebOrigins: []string{"https://admin.medlog.app"},
				Origins: []string{"https://admin.medlog.app"},
			},
			{
				Name: "MedLogistics User Management", Type: "non_interactive", AuthMethod: "client_secret_post",
				Algorithm: "RS256", Conformant: true, GrantTypes: []string{"client_credentials"},
				Grants: []Scopes{{API: "management", Scopes: []string{"create:users", "read:users", "update:users"}}},
			},
		},
		APIs: []API{{
			Name: "MedLogistics Backend API", Identifier: backend, Algorithm: "RS256", SkipConsent: true, OfflineAccess: true,
			TokenLifetime: 24 * time.Hour, WebTokenLifetime: 2 * time.Hour, Scopes: scopes,
		}},
		Roles: []Role{
			{
				Name: "super_admin", Description: "Runs the whole system",
				Permissions: []Scopes{{API: backend, Scopes: []string{"read:hospitals", "write:hospitals", "read:users", "write:users"}}},
			},
			{Name: "nurse", Description: "Gives medication"},
		},
		Actions: []Action{{
			Name: "Add Roles to Token", Trigger: "post-login", Version: "v3", Runtime: "node22", Code: roleClaim,
		}},
		Databases: []Database{{Name: directory, PasswordPolicy: "fair", BruteForce: true, Applications: []string{frontend}}},
		Templates: map[string]bool{"welcome_email": false, "verify_email": false},
	}
}

// startSite serves a tenant with nothing but the database that every tenant has.
func startSite(t testing.TB) (*emulator.Tenant, *Tenant) {
	t.Helper()
	return startSeeded(t, emulator.Seed{
		Connections: []emulator.Connection{{Name: directory}},
		Actions:     []emulator.Action{{Name: "Somebody's", Code: "// theirs"}},
		Templates:   []emulator.Template{{Name: "welcome_email", Enabled: true}},
	})
}

// startSeeded serves a tenant with what the seed says.
func startSeeded(t testing.TB, seed emulator.Seed) (*emulator.Tenant, *Tenant) {
	t.Helper()
	tenant := emulator.NewTenant(emulator.Config{Plan: emulator.Unlimited, ActionBuild: 40 * time.Millisecond, Seed: seed})
	id, secret := tenant.ManagementClient()
	server, err := tenant.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	return tenant, &Tenant{
		Access:    Access{Domain: server.Domain, ClientID: id, ClientSecret: redact.NewSecret(secret), CAFile: server.CAFile, Share: 1},
		Blueprint: blueprint(), Wait: 10 * time.Second,
	}
}

// asDeclared fails the test unless auth0/drift finds nothing, having changed
// nothing, and every named thing is there once.
func asDeclared(t testing.TB, tenant *emulator.Tenant, at *Tenant) {
	t.Helper()
	tenant.ResetRequests()
	d := &Drift{Access: at.Access, Blueprint: at.Blueprint}
	r, err := d.Run(context.Background(), tasktest.Env(t))
	if err != nil || r.Differences != 0 || r.ClientID == "" {
		t.Errorf("drift: %v, %+v", err, r)
	}
	lookedOnly(t, tenant)
	api, _, err := open(at.Access)
	must(t, err)
	for _, list := range []struct {
		key  string
		path []string
	}{{"clients", []string{"clients"}}, {"roles", []string{"roles"}}, {"actions", []string{"actions", "actions"}}, {"bindings", []string{"actions", "triggers", "post-login", "bindings"}}} {
		all, err := api.Documents(context.Background(), list.key, nil, list.path...)
		must(t, err)
		seen := map[string]bool{}
		for _, d := range all {
			name := word(d, "name") + word(d, "display_name")
			if seen[name] {
				t.Errorf("%s %q is there twice", list.key, name)
			}
			seen[name] = true
		}
	}
}

// lookedOnly fails the test if a request changed something.
func lookedOnly(t testing.TB, tenant *emulator.Tenant) {
	t.Helper()
	for endpoint := range tenant.Requests() {
		if !strings.HasPrefix(endpoint, "GET ") && endpoint != "POST /oauth/token" {
			t.Errorf("there was a request %s", endpoint)
		}
	}
}

func TestTenantIsMadeOnceAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	tenant, at := startSite(t)
	must(t, at.Validate())
	must(t, at.Check(t.Context(), tasktest.Env(t)))
	r, err := at.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	id, _, ok := tenant.Client(frontend)
	if !ok || r.ClientID != id || r.Clients[frontend] != id || r.Audience != backend || r.Made != 7 {
		t.Errorf("the receipt says %+v", r)
	}
	asDeclared(t, tenant, at)
	tenant.ResetRequests()
	again, err := at.Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped || again.Made+again.Changed != 0 || again.ClientID != id {
		t.Errorf("the second run: %v, %+v", err, again)
	}
	lookedOnly(t, tenant)
	if got := bindings(t, at); !slices.Equal(got, []string{"Somebody's", "Add Roles to Token"}) {
		t.Errorf("bound are %v", got)
	}
}

// bindings returns the names of what is bound to the login, in order.
func bindings(t testing.TB, at *Tenant) []string {
	t.Helper()
	api, _, err := open(at.Access)
	must(t, err)
	all, err := api.Documents(context.Background(), "bindings", nil, "actions", "triggers", "post-login", "bindings")
	must(t, err)
	var names []string
	for _, b := range all {
		names = append(names, word(b["action"].(document), "name"))
	}
	return names
}

func TestTenantIsMendedAndWhatIsBesidesStays(t *testing.T) {
	t.Parallel()
	tenant, at := startSite(t)
	_, err := at.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	api, _, err := open(at.Access)
	must(t, err)
	client, _, _ := tenant.Client(frontend)
	conn, err := api.Connection(t.Context(), directory)
	must(t, err)
	ctx := t.Context()
	actions, err := api.Documents(ctx, "actions", map[string]string{"actionName": "Add Roles to Token"}, "actions", "actions")
	must(t, err)
	for _, change := range []struct {
		body any
		path []string
	}{
		{document{"callbacks": []any{"https://evil.example"}, "description": "kept"}, []string{"clients", client}},
		{document{"options": document{"disable_signup": false, "passwordPolicy": "excellent", "password_history": document{"enable": true, "size": 5}}}, []string{"connections", conn.id}},
		{document{"token_lifetime": 60, "scopes": []any{document{"value": "theirs", "description": "x"}}}, []string{"resource-servers", backend}},
		{document{"description": "?"}, []string{"roles", tenant.RoleID("nurse")}},
		{document{"code": "// hacked"}, []string{"actions", "actions", word(actions[0], "id")}},
		{document{"bindings": []any{}}, []string{"actions", "triggers", "post-login", "bindings"}},
		{document{"enabled": true}, []string{"email-templates", "welcome_email"}},
		{[]any{document{"client_id": client, "status": false}}, []string{"connections", conn.id, "clients"}},
	} {
		must(t, api.Mend(ctx, change.body, change.path...))
	}
	drift := &Drift{Access: at.Access, Blueprint: at.Blueprint}
	d, err := drift.Run(ctx, tasktest.Env(t))
	if err == nil || task.HintOf(err) == "" || d.Differences != 10 {
		t.Errorf("drift: %v\n%s", err, strings.Join(d.Changes, "\n"))
	}
	r, err := at.Run(ctx, tasktest.Env(t))
	must(t, err)
	if r.Made != 0 || r.Changed < 9 {
		t.Errorf("the receipt says %+v", r)
	}
	asDeclared(t, tenant, at)
	database, err := api.Document(ctx, "connections", conn.id)
	must(t, err)
	options := database["options"].(document)
	if options["passwordPolicy"] != "excellent" || fmt.Sprint(options["password_history"]) != "map[enable:true size:5]" {
		t.Errorf("the connection's other options are %v", options)
	}
	server, err := api.Document(ctx, "resource-servers", backend)
	must(t, err)
	if n := len(server["scopes"].([]any)); n != 5 {
		t.Errorf("the API has %d scopes, not the four and theirs", n)
	}
}

// Where two have the name nobody but a person can say which is meant: neither is
// touched, whatever kind they are. Two APIs of one identifier no tenant can have.
func TestTenantRefusesTwoOfOneName(t *testing.T) {
	t.Parallel()
	application, role := emulator.Client{Name: frontend, Type: "spa"}, emulator.Role{Name: "nurse", Description: "Theirs"}
	action, database := emulator.Action{Name: "Add Roles to Token", Code: "// theirs"}, emulator.Connection{Name: directory}
	all := blueprint()
	all.Databases[0].Applications = nil
	for name, c := range map[string]struct {
		seed emulator.Seed
		only Blueprint
	}{
		"application " + frontend:   {emulator.Seed{Clients: []emulator.Client{application, application}}, Blueprint{Applications: all.Applications[:1]}},
		"role nurse":                {emulator.Seed{Roles: []emulator.Role{role, role}}, Blueprint{Roles: all.Roles[1:]}},
		"Action Add Roles to Token": {emulator.Seed{Actions: []emulator.Action{action, action}}, Blueprint{Actions: all.Actions}},
		"database " + directory:     {emulator.Seed{Connections: []emulator.Connection{database, database}}, Blueprint{Databases: all.Databases}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, at := startSeeded(t, c.seed)
			at.Blueprint = c.only
			must(t, at.Validate())
			tenant.ResetRequests()
			_, made := at.Run(t.Context(), tasktest.Env(t))
			_, drifted := (&Drift{at.Access, at.Blueprint}).Run(t.Context(), tasktest.Env(t))
			for _, err := range []error{made, drifted} {
				if err == nil || !strings.Contains(err.Error(), "has 2 of the name "+name+": ") || task.HintOf(err) == "" {
					t.Errorf("the error is %v", err)
				}
			}
			lookedOnly(t, tenant)
		})
	}
}

func TestTenantDoesNotSawOffItsOwnBranch(t *testing.T) {
	t.Parallel()
	tenant, at := startSite(t)
	at.Blueprint.Applications = append(at.Blueprint.Applications, Application{
		Name: "Management", Type: "non_interactive", GrantTypes: []string{"client_credentials"}, Algorithm: "RS256", Conformant: true,
		Grants: []Scopes{{API: "management", Scopes: []string{"read:users"}}},
	})
	_, err := at.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	tenant.ExpireTokens()
	asDeclared(t, tenant, at) // needs nearly all the scopes that it had
}

func TestTenantComesThroughLostAnswers(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"POST /api/v2/clients", "POST /api/v2/resource-servers", "POST /api/v2/roles", "POST /api/v2/client-grants",
		"POST /api/v2/actions/actions", "POST /api/v2/actions/actions/{id}/deploy", "POST /api/v2/roles/{id}/permissions",
		"PATCH /api/v2/actions/triggers/{trigger}/bindings", "PATCH /api/v2/connections/{id}",
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			tenant, at := startSite(t)
			tenant.Fault(emulator.Fault{Endpoint: endpoint, Count: 1, Do: emulator.ResetAfter})
			_, err := at.Run(t.Context(), tasktest.Env(t))
			must(t, err)
			asDeclared(t, tenant, at)
		})
	}
}

func TestTenantThatIsInterruptedIsFinishedByTheNextRun(t *testing.T) {
	t.Parallel()
	step := 6
	if os.Getenv("PHASEGATE_SOAK") != "" {
		step = 1
	}
	points := 0
	for at := 0; ; at += step {
		if !interruptTenant(t, at, emulator.Hang(time.Minute)) {
			break
		}
		interruptTenant(t, at, emulator.HangAfter(time.Minute))
		points++
	}
	t.Logf("interrupted at %d requests", points)
	if points < 4 {
		t.Errorf("only %d points were tried", points)
	}
}

// interruptTenant ends a run at its request number at, before its effect or
// after it, and finishes with another. It tells whether there was such a request.
func interruptTenant(t *testing.T, number int, hang emulator.Effect) bool {
	t.Helper()
	tenant, at := startSite(t)
	tenant.Fault(emulator.Fault{After: number, Count: 1, Do: hang})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := at.Run(ctx, tasktest.Env(t))
		done <- err
	}()
	for tenant.Disturbed() == 0 {
		select {
		case err := <-done:
			stop()
			must(t, err)
			return false
		case <-time.After(time.Millisecond):
		}
	}
	eventually(t, "the request had its effect or waits for it", func() bool {
		return hang == emulator.Hang(time.Minute) || tenant.Requests().Total("") > number
	})
	stop()
	<-done
	tenant.ClearFaults()
	_, err := at.Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); err != nil && !skipped {
		t.Fatalf("after an interruption at request %d: %v", number, err)
	}
	asDeclared(t, tenant, at)
	return true
}

func TestDriftNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	tenant, at := startSite(t)
	d := &Drift{Access: at.Access, Blueprint: at.Blueprint}
	must(t, d.Validate())
	must(t, d.Check(t.Context(), tasktest.Env(t)))
	r, err := d.Run(t.Context(), tasktest.Env(t))
	for _, want := range []string{
		"application " + frontend + " is missing", "grant of application MedLogistics User Management on management is missing",
		"API https://api.medlog.app is missing", "role nurse is missing", "role super_admin: lacks read:hospitals",
		"Action Add Roles to Token is missing", "not bound to post-login", "e-mail template welcome_email: on is true",
		"database " + directory + ": options", "not enabled for " + frontend,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("drift does not tell that %s: %v", want, r.Changes)
		}
	}
	lookedOnly(t, tenant)
}

func TestMistakesInABlueprintAreFoundOffline(t *testing.T) {
	t.Parallel()
	must(t, blueprint().validate())
	for want, spoil := range map[string]func(*Blueprint){
		"stands there twice":        func(b *Blueprint) { b.Roles = append(b.Roles, b.Roles[0]) },
		"is not among applications": func(b *Blueprint) { b.Databases[0].Applications = []string{"?"} },
		"no password policy":        func(b *Blueprint) { b.Databases[0].PasswordPolicy = "strict" },
		"nothing is declared":       func(b *Blueprint) { *b = Blueprint{} },
		"without a name":            func(b *Blueprint) { b.APIs[0].Identifier = "" },
	} {
		b := blueprint()
		spoil(&b)
		if err := b.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestTenantTasksKeepTheContract(t *testing.T) {
	t.Parallel()
	_, at := startSite(t)
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/tenant", &Tenant{}),
		Configure: func(config any) { *config.(*Tenant) = *at },
		Secrets:   []string{at.ClientSecret.Reveal()},
	})
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Look("auth0/drift", &Drift{}),
		Configure: func(config any) { *config.(*Drift) = Drift{at.Access, at.Blueprint} },
		Secrets:   []string{at.ClientSecret.Reveal()},
	})
}
