package auth0_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/auth0/go-auth0/management"
)

func TestTheUsersOfARoleAreListedBeyondAThousandByCheckpoint(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	create(t, tenant, 0, 1250)
	role := tenant.RoleID("nurse")
	for from := 0; from < 1250; from += 250 {
		users := ""
		for n := from; n < from+250; n++ {
			users += fmt.Sprintf(`,"auth0|ml-%d"`, n)
		}
		request(tenant, "POST", "/api/v2/roles/"+role+"/users", `{"users":[`+users[1:]+`]}`).want(t, 200, "{}")
	}
	tenant.DeleteUser("auth0|ml-100")
	must(t, tenant.SetRoles("auth0|ml-200", "doctor"))
	request(tenant, "GET", "/api/v2/roles/"+role+"/users?page=10&per_page=100", "").want(t, 400, "")
	seen, from := map[any]bool{}, ""
	for range 20 {
		page := request(tenant, "GET", "/api/v2/roles/"+role+"/users?take=100&from="+url.QueryEscape(from), "").object(t)
		for _, u := range page["users"].([]any) {
			seen[u.(map[string]any)["user_id"]] = true
		}
		if page["next"] == nil {
			break
		}
		from = page["next"].(string)
	}
	if len(seen) != 1248 || seen["auth0|ml-100"] || seen["auth0|ml-200"] {
		t.Errorf("%d users by checkpoint, want 1248", len(seen))
	}
}

func TestARoleGoesToAllOrNone(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	create(t, tenant, 0, 2)
	role := tenant.RoleID("nurse")
	request(tenant, "POST", "/api/v2/roles/"+role+"/users", `{"users":["auth0|ml-0","auth0|ml-9"]}`).want(t, 404,
		`{"statusCode":404,"error":"Not Found","message":"The user does not exist.","errorCode":"inexistent_user"}`)
	request(tenant, "POST", "/api/v2/roles/rol_none/users", `{"users":["auth0|ml-0"]}`).want(t, 404,
		`{"statusCode":404,"error":"Not Found","message":"The role does not exist."}`)
	if u, _ := tenant.User("auth0|ml-0"); len(u.Roles) != 0 {
		t.Errorf("roles = %v", u.Roles)
	}
	request(tenant, "POST", "/api/v2/users/auth0%7Cml-0/roles", `{"roles":["`+role+`"]}`).want(t, 204, "")
	request(tenant, "POST", "/api/v2/users/auth0%7Cml-0/roles", `{"roles":["`+role+`"]}`).want(t, 204, "") // and again
	if u, _ := tenant.User("auth0|ml-0"); fmt.Sprint(u.Roles) != "[nurse]" {
		t.Errorf("roles = %v", u.Roles)
	}
	request(tenant, "DELETE", "/api/v2/users/auth0%7Cml-0/roles", `{"roles":["`+role+`"]}`).want(t, 204, "")
	request(tenant, "POST", "/api/v2/roles", `{"name":"nurse"}`).want(t, 409, "")
}

func TestTheSDKFindsWhatTheTenantOfMedLogisticsHolds(t *testing.T) {
	t.Parallel()
	tenant, server, _ := medlogistics(t)
	id, _ := tenant.ManagementClient()
	tenant.Grant(id, "management", "read:roles", "read:connections", "read:resource_servers", "read:clients", "read:email_templates", "read:actions", "read:client_grants")
	m, ctx := manage(t, tenant, server), t.Context()
	roles, err := m.Role.List(ctx)
	must(t, err)
	if len(roles.Roles) != 4 {
		t.Errorf("%d roles, want 4", len(roles.Roles))
	}
	where, err := m.Connection.ReadByName(ctx, connection)
	must(t, err)
	enabled, err := m.Connection.ReadEnabledClients(ctx, where.GetID())
	must(t, err)
	if len(enabled.GetClients()) != 2 {
		t.Errorf("%d applications use the connection, want 2", len(enabled.GetClients()))
	}
	api, err := m.ResourceServer.Read(ctx, "https://api.medlog.app")
	must(t, err)
	if api.GetSigningAlgorithm() != "RS256" || api.GetTokenLifetime() != 86400 || len(api.GetScopes()) != 4 {
		t.Errorf("API = %s", api)
	}
	bound, err := m.Action.Bindings(ctx, "post-login")
	must(t, err)
	if len(bound.Bindings) != 1 || bound.Bindings[0].Action.GetName() != "Add Roles to Token" {
		t.Errorf("bindings = %v", bound.Bindings)
	}
	mail, err := m.EmailTemplate.Read(ctx, "welcome_email")
	must(t, err)
	if mail.GetEnabled() {
		t.Error("the welcome mail is on")
	}
	grants, err := m.ClientGrant.List(ctx, management.Parameter("client_id", id))
	must(t, err)
	if len(grants.ClientGrants) != 1 || grants.ClientGrants[0].GetAudience() != "https://"+server.Domain+"/api/v2/" {
		t.Errorf("grants = %v", grants.ClientGrants)
	}
}
