package auth0_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// controlled is a tenant of MedLogistics with a control API.
func controlled() (*auth0.Tenant, *clock) {
	return seeded(func(c *auth0.Config) { c.Control = true })
}

func TestAResetPutsTheTenantBackAndKeepsIdsSecretsAndTokens(t *testing.T) {
	t.Parallel()
	tenant, _ := controlled()
	id, secret := tenant.ManagementClient()
	role := tenant.RoleID("doctor")
	token := tenant.Token("create:users", "read:users")
	requestAs(tenant, token, "POST", "/api/v2/users", userBody(1)).want(t, 201, "")
	request(tenant, "DELETE", "/api/v2/roles/"+role, "").want(t, 200, "{}")
	control(t, tenant, "DELETE", "/emulator/state", "", 204)
	if n := tenant.CountUsers(); n != 0 {
		t.Errorf("%d users after the reset", n)
	}
	if again, same := tenant.ManagementClient(); again != id || same != secret || tenant.RoleID("doctor") != role {
		t.Error("ids or secrets are others after the reset")
	}
	requestAs(tenant, token, "POST", "/api/v2/users", userBody(1)).want(t, 201, "")
}

func TestADumpIsASeedOfTheSameTenant(t *testing.T) {
	t.Parallel()
	tenant, _ := controlled()
	must(t, tenant.PutUser(auth0.User{
		ID: "auth0|ml-1", Email: "a@example.com", Roles: []string{"doctor", "nurse"}, Blocked: true,
		AppMetadata: map[string]any{"local_id": "1"},
	}))
	request(tenant, "POST", "/api/v2/connections", `{"name":"Corporate","strategy":"samlp","options":{"signInEndpoint":"https://sso.test"}}`).want(t, 201, "")
	dump := control(t, tenant, "GET", "/emulator/state", "", 200)
	other := auth0.NewTenant(auth0.Config{Domain: "medlog.test", Control: true})
	control(t, other, "PUT", "/emulator/state", dump, 204)
	var want, got any
	must(t, json.Unmarshal([]byte(dump), &want))
	must(t, json.Unmarshal([]byte(control(t, other, "GET", "/emulator/state", "", 200)), &got))
	if !reflect.DeepEqual(want, got) {
		t.Errorf("dumped\n%v\nwant\n%v", got, want)
	}
	for _, path := range []string{"users/auth0|ml-1/roles", "clients", "client-grants", "connections", "resource-servers", "roles", "actions/triggers/post-login/bindings"} {
		path = "/api/v2/" + strings.Replace(path, "|", "%7C", 1)
		a, b := request(tenant, "GET", path, ""), request(other, "GET", path, "")
		if a.status != 200 || b.status != 200 || len(a.body) != len(b.body) {
			t.Errorf("%s\n%s\nwas\n%s", path, b.body, a.body)
		}
	}
}

func TestASeedWithoutAManagementClientKeepsTheOneThatIsThere(t *testing.T) {
	t.Parallel()
	tenant := auth0.NewTenant(auth0.Config{Domain: "medlog.test", Control: true})
	id, secret := tenant.ManagementClient()
	control(t, tenant, "PUT", "/emulator/state", `{"roles":[{"name":"doctor"}]}`, 204)
	if again, same := tenant.ManagementClient(); again != id || same != secret {
		t.Error("the management client is another one")
	}
	control(t, tenant, "PUT", "/emulator/state", `{"users":[{"email":"a@example.com","roles":["none"]}]}`, 400)
	if tenant.RoleID("doctor") == "" {
		t.Error("a bad seed has changed the tenant")
	}
	control(t, tenant, "DELETE", "/emulator/state", "", 204)
	if again, same := tenant.ManagementClient(); again != id || same != secret {
		t.Error("the management client is another one after the reset")
	}
}

func TestTheControlAPIIsBeyondFaultsAndLimits(t *testing.T) {
	t.Parallel()
	tenant, clock := controlled()
	control(t, tenant, "POST", "/emulator/faults", `{"do":"status 503"}`, 200)
	control(t, tenant, "PUT", "/emulator/limits", `{"plan":"free","fixed_window":true}`, 200)
	for range 10 {
		control(t, tenant, "GET", "/emulator/requests", "", 200)
	}
	if limits := tenant.Limits(); limits.Global.Burst != 2 || !limits.FixedWindow {
		t.Errorf("limits = %+v", limits)
	}
	request(tenant, "GET", "/api/v2/roles", "").want(t, 503, "")
	control(t, tenant, "DELETE", "/emulator/faults", "", 204)
	control(t, tenant, "PATCH", "/emulator/timing", `{"job_start":"1m"}`, 200)
	a := request(tenant, "POST", "/api/v2/jobs/users-exports", "{}").object(t)
	job := "/api/v2/jobs/" + a["id"].(string)
	if status := request(tenant, "GET", job, "").object(t)["status"]; status != "pending" {
		t.Errorf("the job is %v at once", status)
	}
	clock.advance(time.Minute)
	if status := request(tenant, "GET", job, "").object(t)["status"]; status != "completed" {
		t.Errorf("the job is %v after a minute", status)
	}
}

func TestTheControlAPIRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	tenant, _ := controlled()
	for _, c := range []struct{ method, path, body string }{
		{"POST", "faults", `{"do":"explode"}`},
		{"POST", "faults", `{"do":"status 503","share":1.5}`},
		{"POST", "faults", `{"do":"status 503","count":-1}`},
		{"POST", "faults", `{"do":"status 503","endpoint":"GET /nowhere"}`},
		{"POST", "faults", `{"do":"status 503","times":1}`},
		{"POST", "faults", `{"do":"status 503"}{}`},
		{"PUT", "limits", `{"plan":"huge"}`},
		{"PUT", "limits", `{"global":{"burst":1}}`},
		{"PUT", "limits", `{"global":{"burst":1,"rate":1,"per":"day"}}`},
		{"PATCH", "timing", `{"job_start":"soon"}`},
		{"PUT", "state", `{"users":[{"e-mail":"a@example.com"}]}`},
	} {
		said := control(t, tenant, c.method, "/emulator/"+c.path, c.body, http.StatusBadRequest)
		if !strings.HasPrefix(said, `{"error":"`) {
			t.Errorf("%s: %s", c.body, said)
		}
	}
	control(t, tenant, "GET", "/emulator/nothing", "", http.StatusNotFound)
	plain, _ := seeded(nil)
	control(t, plain, "GET", "/emulator/state", "", http.StatusNotFound) // nobody asked for it there
}

// control makes a request to the control API and returns the body.
func control(t *testing.T, tenant *auth0.Tenant, method, path, body string, status int) string {
	t.Helper()
	a := requestAs(tenant, "", method, path, body)
	a.want(t, status, "")
	return a.body
}
