package auth0_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

const connection = "Username-Password-Authentication"

// serve starts a tenant over TLS and ends it with the test.
func serve(t *testing.T, tenant *auth0.Tenant) *auth0.Server {
	t.Helper()
	server, err := tenant.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// manage returns the real SDK, talking to the tenant over TLS with the tenant's
// management client.
func manage(t *testing.T, tenant *auth0.Tenant, server *auth0.Server) *management.Management {
	t.Helper()
	id, secret := tenant.ManagementClient()
	m, err := management.New(server.Domain, management.WithClient(server.Client()), management.WithNoRetries(),
		management.WithClientCredentials(withClient(t.Context(), server), id, secret))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// medlogistics is a tenant of MedLogistics without limits, with the SDK.
func medlogistics(t *testing.T) (*auth0.Tenant, *auth0.Server, *management.Management) {
	t.Helper()
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Seed: auth0.MedLogistics()})
	server := serve(t, tenant)
	return tenant, server, manage(t, tenant, server)
}

func someone(email string) *management.User {
	return &management.User{
		Connection: sdk.String(connection), Email: sdk.String(email), Password: sdk.String("Correct-horse-9"),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// login asks for tokens with a password and returns the status and the body.
func login(t *testing.T, tenant *auth0.Tenant, server *auth0.Server, form url.Values) (int, map[string]any) {
	t.Helper()
	id, secret, _ := tenant.Client("MedLogistics Sample Login")
	all := url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "realm": {connection},
		"client_id": {id}, "client_secret": {secret}, "audience": {"https://api.medlog.app"}, "scope": {"openid profile email"},
	}
	maps.Copy(all, form)
	response, err := server.Client().Post(server.URL+"/oauth/token", "application/x-www-form-urlencoded", strings.NewReader(all.Encode()))
	must(t, err)
	defer response.Body.Close()
	var body map[string]any
	must(t, json.NewDecoder(response.Body).Decode(&body))
	return response.StatusCode, body
}

func TestTheSDKCreatesReadsChangesAndDeletesUsersOverTLS(t *testing.T) {
	t.Parallel()
	tenant, _, m := medlogistics(t)
	ctx := t.Context()
	u := someone("Ada.Lovelace+ward@Example.com")
	u.ID = sdk.String("ml-42")
	u.AppMetadata = &map[string]any{"role": "doctor", "local_id": "42"}
	must(t, m.User.Create(ctx, u))
	if u.GetID() != "auth0|ml-42" || u.GetEmail() != "ada.lovelace+ward@example.com" || u.GetName() != u.GetEmail() {
		t.Errorf("created user %s with e-mail %s and name %s", u.GetID(), u.GetEmail(), u.GetName())
	}
	got, err := m.User.Read(ctx, "auth0|ml-42")
	must(t, err)
	if got.GetAppMetadata()["role"] != "doctor" {
		t.Errorf("app_metadata = %v", got.GetAppMetadata())
	}
	must(t, m.User.Update(ctx, u.GetID(), &management.User{AppMetadata: &map[string]any{"ward": "7"}}))
	after, _ := tenant.User("auth0|ml-42")
	if after.AppMetadata["role"] != "doctor" || after.AppMetadata["ward"] != "7" {
		t.Errorf("PATCH did not merge the metadata: %v", after.AppMetadata)
	}
	same, err := m.User.ListByEmail(ctx, "ada.lovelace+ward@example.com")
	must(t, err)
	if len(same) != 1 {
		t.Errorf("by e-mail: %d users, want 1", len(same))
	}
	must(t, m.User.Delete(ctx, u.GetID()))
	must(t, m.User.Delete(ctx, u.GetID())) // and again
	if _, err = m.User.Read(ctx, u.GetID()); err == nil {
		t.Error("the deleted user is still there")
	}
}

func TestALoginCarriesTheRolesThatTheActionPutsIn(t *testing.T) {
	t.Parallel()
	tenant, server, _ := medlogistics(t)
	must(t, tenant.PutUser(auth0.User{ID: "auth0|ml-1", Email: "a@example.com", Password: "pw", Roles: []string{"doctor"}}))
	status, body := login(t, tenant, server, url.Values{"username": {"A@example.com"}, "password": {"pw"}})
	if status != http.StatusOK {
		t.Fatalf("status %d: %v", status, body)
	}
	claims := verified(t, server, body["access_token"].(string))
	if roles, _ := claims["https://api.medlog.app/roles"].([]any); len(roles) != 1 || roles[0] != "doctor" {
		t.Errorf("roles claim = %v", claims["https://api.medlog.app/roles"])
	}
	if claims["https://api.medlog.app/user_id"] != "auth0|ml-1" || claims["sub"] != "auth0|ml-1" {
		t.Errorf("claims = %v", claims)
	}
	if claims["iss"] != "https://"+server.Domain+"/" {
		t.Errorf("iss = %v", claims["iss"])
	}
}
