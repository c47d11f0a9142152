package auth0_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

func TestATenantIsSetUpThroughItsAPI(t *testing.T) {
	t.Parallel()
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Domain: "medlog.test"})
	post := func(path, body string, status int) map[string]any {
		t.Helper()
		a := request(tenant, "POST", "/api/v2/"+path, body)
		a.want(t, status, "")
		return a.object(t)
	}
	api := post("resource-servers", `{"identifier":"https://api.test","scopes":[{"value":"read:x"}],"signing_alg":"RS256","token_lifetime":60}`, 201)
	post("resource-servers", `{"identifier":"https://api.test"}`, 409)
	byName := request(tenant, "GET", "/api/v2/resource-servers/"+url.PathEscape("https://api.test"), "").object(t)
	if byName["id"] != api["id"] {
		t.Errorf("read by identifier: %v", byName)
	}
	first := post("clients", `{"name":"Same","app_type":"non_interactive","grant_types":["client_credentials"]}`, 201)
	second := post("clients", `{"name":"Same"}`, 201) // names need not be unique
	if first["client_id"] == second["client_id"] || first["client_secret"] == nil {
		t.Errorf("clients %v and %v", first, second)
	}
	grant := fmt.Sprintf(`{"client_id":%q,"audience":"https://api.test","scope":["read:x"]}`, first["client_id"])
	post("client-grants", grant, 201)
	post("client-grants", grant, 409)
	post("client-grants", strings.Replace(grant, "api.test", "none.test", 1), 404)
	a := record(tenant, tokenForm(url.Values{"grant_type": {"client_credentials"}, "audience": {"https://api.test"}},
		first["client_id"].(string), first["client_secret"].(string)))
	if body := a.object(t); body["scope"] != "read:x" || body["expires_in"] != 60.0 {
		t.Errorf("token = %v", body)
	}
	where := post("connections", `{"name":"Users","strategy":"auth0"}`, 201)
	post("connections", `{"name":"Users","strategy":"auth0"}`, 409)
	clients := fmt.Sprint("/api/v2/connections/", where["id"], "/clients")
	request(tenant, "PATCH", clients, fmt.Sprintf(`[{"client_id":%q,"status":true}]`, first["client_id"])).want(t, 204, "")
	request(tenant, "GET", clients, "").want(t, 200, fmt.Sprintf(`{"clients":[{"client_id":%q}]}`, first["client_id"]))
	request(tenant, "DELETE", fmt.Sprint("/api/v2/clients/", first["client_id"]), "").want(t, 204, "")
	request(tenant, "GET", clients, "").want(t, 200, `{"clients":[]}`)
	request(tenant, "GET", "/api/v2/client-grants", "").want(t, 200, "[]")
	role := post("roles", `{"name":"r"}`, 200)
	permission := `{"permissions":[{"resource_server_identifier":"https://api.test","permission_name":"read:x"}]}`
	post(fmt.Sprint("roles/", role["id"], "/permissions"), permission, 201)
	post(fmt.Sprint("roles/", role["id"], "/permissions"), strings.Replace(permission, "read:x", "read:y", 1), 404)
	request(tenant, "GET", "/api/v2/email-templates/welcome_email", "").want(t, 404, "")
	post("email-templates", `{"template":"welcome_email","enabled":true}`, 200)
	request(tenant, "PATCH", "/api/v2/email-templates/welcome_email", `{"enabled":false}`).want(t, 200, `{"enabled":false,"template":"welcome_email"}`)
}

func TestTheFirstCallOfTheSDKFailsWithTheTenantsReason(t *testing.T) {
	t.Parallel()
	tenant, server, m := medlogistics(t)
	tenant.Fault(auth0.Fault{Endpoint: "POST /oauth/token", Do: auth0.Status(503)})
	if err := m.User.Delete(t.Context(), "auth0|1"); err == nil || !strings.Contains(err.Error(), "Service Unavailable") {
		t.Errorf("error = %v", err)
	}
	if n := tenant.Requests().Total("DELETE /api/v2/users/{id}"); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestTheStateOutlivesTheListener(t *testing.T) {
	t.Parallel()
	tenant, server, m := medlogistics(t)
	must(t, m.User.Create(t.Context(), someone("a@example.com")))
	must(t, server.Close())
	again := serve(t, tenant)
	users, err := manage(t, tenant, again).User.ListByEmail(t.Context(), "a@example.com")
	must(t, err)
	if len(users) != 1 {
		t.Errorf("%d users after a restart of the listener, want 1", len(users))
	}
}
