package auth0_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

const managementAudience = "https://medlog.test/api/v2/"

func tokenForm(values url.Values, basic ...string) *http.Request {
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(basic) == 2 {
		r.SetBasicAuth(url.QueryEscape(basic[0]), url.QueryEscape(basic[1]))
	}
	return r
}

func TestATokenIsGivenByBasicFormAndJSON(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	id, secret := tenant.ManagementClient()
	grant := url.Values{"grant_type": {"client_credentials"}, "audience": {managementAudience}}
	inForm := url.Values{"client_id": {id}, "client_secret": {secret}}
	maps.Copy(inForm, grant)
	asJSON := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(
		`{"grant_type":"client_credentials","audience":"`+managementAudience+`","client_id":"`+id+`","client_secret":"`+secret+`"}`))
	asJSON.Header.Set("Content-Type", "application/json; charset=utf-8")
	for name, r := range map[string]*http.Request{
		"basic": tokenForm(grant, id, secret), "form": tokenForm(inForm), "JSON": asJSON,
	} {
		a := record(tenant, r)
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
		body := a.object(t)
		if body["token_type"] != "Bearer" || body["expires_in"] != float64(86400) || !strings.Contains(body["scope"].(string), "create:users") {
			t.Errorf("%s: %v", name, body)
		}
		requestAs(tenant, body["access_token"].(string), "GET", "/api/v2/users/none", "").want(t, 404, "")
	}
}

func TestATokenIsRefusedInAuth0sWords(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	id, secret := tenant.ManagementClient()
	other, otherSecret := tenant.AddClient(auth0.Client{Name: "Other", Type: "non_interactive"})
	for name, c := range map[string]struct {
		id, secret string
		form       url.Values
		status     int
		want       string
	}{
		"wrong secret": {
			id, "x",
			url.Values{"grant_type": {"client_credentials"}},
			401,
			`{"error":"access_denied","error_description":"Unauthorized"}`,
		},
		"unknown client": {
			"nobody", "x",
			url.Values{"grant_type": {"client_credentials"}},
			401,
			`{"error":"access_denied","error_description":"Unauthorized"}`,
		},
		"no grant": {
			other, otherSecret,
			url.Values{"grant_type": {"client_credentials"}, "audience": {managementAudience}},
			403,
			`{"error":"access_denied","error_description":"Client is not authorized to access \"` + managementAudience +
				`\". You might probably want to create a \"client-grant\" associated to this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"}`,
		},
		"unknown API": {
			id, secret,
			url.Values{"grant_type": {"client_credentials"}, "audience": {"https://other"}},
			403,
			`{"error":"access_denied","error_description":"Service not found: https://other"}`,
		},
		"grant type not allowed": {
			id, secret,
			url.Values{"grant_type": {"password"}},
			403,
			`{"error":"unauthorized_client","error_description":"Grant type 'password' not allowed for the client."}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record(tenant, tokenForm(c.form, c.id, c.secret)).want(t, c.status, c.want)
		})
	}
}

func TestAGrantLimitsWhatATokenMayDo(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	token := tenant.Token("read:users")
	requestAs(tenant, token, "GET", "/api/v2/users", "").want(t, 200, "[]")
	requestAs(tenant, token, "POST", "/api/v2/users", userBody(1)).want(t, 403,
		`{"statusCode":403,"error":"Forbidden","message":"Insufficient scope, expected any of: create:users","errorCode":"insufficient_scope"}`)
	id, secret := tenant.ManagementClient()
	tenant.Grant(id, auth0.Management, "read:roles")
	a := record(tenant, tokenForm(url.Values{"grant_type": {"client_credentials"}, "audience": {managementAudience}}, id, secret))
	if scope := a.object(t)["scope"]; scope != "read:roles" {
		t.Errorf("scope = %v", scope)
	}
}

func TestATokenExpiresByTheTenantsClock(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(nil)
	token := tenant.Token("read:users")
	clock.advance(24*time.Hour - time.Second)
	requestAs(tenant, token, "GET", "/api/v2/users", "").want(t, 200, "")
	clock.advance(time.Second)
	requestAs(tenant, token, "GET", "/api/v2/users", "").want(t, 401,
		`{"statusCode":401,"error":"Unauthorized","message":"Expired token received for JSON Web Token validation",`+
			`"attributes":{"error":"Expired token received for JSON Web Token validation"}}`)
	requestAs(tenant, "", "GET", "/api/v2/users", "").want(t, 401, `{"statusCode":401,"error":"Unauthorized","message":"Missing authentication"}`)
	requestAs(tenant, "made-up", "GET", "/api/v2/users", "").want(t, 401, "")
	token = tenant.Token("read:users")
	tenant.ExpireTokens()
	requestAs(tenant, token, "GET", "/api/v2/users", "").want(t, 401, "")
}

// realm asks for a login's tokens by the handler.
func realm(tenant *auth0.Tenant, username, password string) answer {
	id, secret, _ := tenant.Client("MedLogistics Sample Login")
	return record(tenant, tokenForm(url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "realm": {connection},
		"username": {username}, "password": {password}, "audience": {"https://api.medlog.app"}, "scope": {"openid read:users"},
	}, id, secret))
}

func TestALoginIsRefusedInAuth0sWords(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(nil)
	must(t, tenant.PutUser(auth0.User{ID: "auth0|1", Email: "a@example.com", Password: "right"}))
	must(t, tenant.PutUser(auth0.User{ID: "auth0|2", Email: "b@example.com", Password: "right", Blocked: true}))
	wrong := `{"error":"invalid_grant","error_description":"Wrong email or password."}`
	realm(tenant, "a@example.com", "wrong").want(t, 403, wrong)
	realm(tenant, "nobody@example.com", "right").want(t, 403, wrong)
	realm(tenant, "b@example.com", "right").want(t, 401, `{"error":"unauthorized","error_description":"user is blocked"}`)
	realm(tenant, "a@example.com", "right").want(t, 200, "")
	for range 10 {
		realm(tenant, "a@example.com", "wrong").want(t, 403, "")
	}
	if a := realm(tenant, "a@example.com", "right"); a.status != 429 || a.object(t)["error"] != "too_many_attempts" {
		t.Errorf("after ten failures: %d %s", a.status, a.body)
	}
	if a := request(tenant, "GET", "/api/v2/user-blocks?identifier=a%40example.com", ""); !strings.Contains(a.body, `"identifier":"a@example.com"`) {
		t.Errorf("blocks = %s", a.body)
	}
	request(tenant, "DELETE", "/api/v2/user-blocks/auth0%7C1", "").want(t, 204, "")
	clock.advance(time.Hour)
	realm(tenant, "a@example.com", "right").want(t, 200, "")
	if u, _ := tenant.User("auth0|1"); u.Logins != 2 {
		t.Errorf("logins = %d, want 2", u.Logins)
	}
	tenant.SetConnection(connection, false, "MedLogistics Sample Login")
	realm(tenant, "a@example.com", "right").want(t, 400, "")
}

func TestRolesGiveAPermissionsClaimWhereTheAPIWantsIt(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(func(c *auth0.Config) { c.Seed.APIs[0].Permissions = true })
	must(t, tenant.PutUser(auth0.User{ID: "auth0|1", Email: "a@example.com", Password: "pw", Roles: []string{"super_admin"}}))
	must(t, tenant.PutUser(auth0.User{ID: "auth0|2", Email: "b@example.com", Password: "pw", Roles: []string{"nurse"}}))
	for email, want := range map[string]string{"a@example.com": "openid read:users", "b@example.com": "openid"} {
		a := realm(tenant, email, "pw")
		if a.status != 200 || a.object(t)["scope"] != want {
			t.Errorf("%s: %d %s", email, a.status, a.body)
		}
	}
}

const otherAction = `exports.onExecutePostLogin = async (event, api) => {
  api.accessToken.setCustomClaim('https://x/' + 'ward', event.user.app_metadata.ward ?? "none");
  api.accessToken.setCustomClaim('https://x/odd', computeSomething(event));
}`

func TestAnActionSetsClaimsOnlyOnceItIsBuiltDeployedAndBound(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.ActionBuild = time.Second })
	must(t, tenant.PutUser(auth0.User{ID: "auth0|1", Email: "a@example.com", Password: "pw", Roles: []string{"nurse"}}))
	ward := func() any {
		a := realm(tenant, "a@example.com", "pw")
		return claimsOf(t, a.object(t)["access_token"].(string))["https://x/ward"]
	}
	code := strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(otherAction)
	a := request(tenant, "POST", "/api/v2/actions/actions", `{"name":"Ward","supported_triggers":[{"id":"post-login","version":"v3"}],"code":"`+code+`"}`)
	a.want(t, 201, "")
	id := a.object(t)["id"].(string)
	bind := func() answer {
		return request(tenant, "PATCH", "/api/v2/actions/triggers/post-login/bindings",
			`{"bindings":[{"ref":{"type":"action_name","value":"Add Roles to Token"}},{"ref":{"type":"action_name","value":"Ward"},"display_name":"Ward"}]}`)
	}
	bind().want(t, 400, "")
	for _, want := range []string{"pending", "building", "built"} {
		if got := request(tenant, "GET", "/api/v2/actions/actions/"+id, "").object(t)["status"]; got != want {
			t.Errorf("status = %v, want %s", got, want)
		}
		if want != "built" {
			request(tenant, "POST", "/api/v2/actions/actions/"+id+"/deploy", "").want(t, 400,
				`{"statusCode":400,"error":"Bad Request","message":"A draft must be in the 'built' state before it can be deployed."}`)
		}
		clock.advance(time.Second)
	}
	request(tenant, "POST", "/api/v2/actions/actions/"+id+"/deploy", "").want(t, 200, "")
	if got := ward(); got != nil {
		t.Errorf("the claim is there before the Action is bound: %v", got)
	}
	bind().want(t, 200, "")
	if got := ward(); got != "none" {
		t.Errorf("the claim is %v, want none", got)
	}
	request(tenant, "PATCH", "/api/v2/actions/triggers/post-login/bindings", `{"bindings":[]}`).want(t, 200, `{"bindings":[]}`)
	claims := claimsOf(t, realm(tenant, "a@example.com", "pw").object(t)["access_token"].(string))
	for _, name := range []string{"https://x/ward", "https://x/odd", "https://api.medlog.app/roles"} {
		if claims[name] != nil {
			t.Errorf("claim %s without an Action: %v", name, claims[name])
		}
	}
}

// claimsOf returns a token's claims without checking them.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	must(t, err)
	claims := map[string]any{}
	must(t, parsed.UnsafeClaimsWithoutVerification(&claims))
	return claims
}

func TestABasicHeaderThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	r := tokenForm(url.Values{"grant_type": {"client_credentials"}})
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("%zz:x")))
	record(tenant, r).want(t, 401, "")
}
