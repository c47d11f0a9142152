package auth0_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

func TestUsersThatAuth0RefusesAreRefusedInItsWords(t *testing.T) {
	t.Parallel()
	const invalid = `{"statusCode":400,"error":"Bad Request","message":"Payload validation error: %s","errorCode":"invalid_body"}`
	refused := func(message string) string { return fmt.Sprintf(invalid, message) }
	user := func(more string) string {
		return `{"connection":"` + connection + `","email":"new@example.com","password":"Correct-horse-9"` + more + `}`
	}
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"invalid e-mail": {
			strings.Replace(user(""), "new@example.com", "foo", 1), 400,
			refused(`'Object didn't pass validation for format email: foo' on property email (The user's email).`),
		},
		"unknown property": {user(`,"nick_name":"x"`), 400, refused(`'Additional properties not allowed: nick_name'.`)},
		"no connection":    {`{"email":"a@example.com"}`, 400, refused(`'Missing required property: connection'.`)},
		"no password":      {`{"connection":"` + connection + `","email":"a@example.com"}`, 400, refused(`'Missing required property: password'.`)},
		"wrong type":       {user(`,"blocked":"yes"`), 400, refused(`'Expected type boolean but found type string' on property blocked (Whether this user was blocked by an administrator).`)},
		"long name": {
			user(`,"given_name":"` + strings.Repeat("x", 151) + `"`), 400,
			refused(`'String is too long (151 chars), maximum 150' on property given_name (The user's given name(s)).`),
		},
		"spaces in id":       {user(`,"user_id":"a b"`), 400, refused(`'String does not match pattern ^\\S*$' on property user_id (The external user's id).`)},
		"forbidden metadata": {user(`,"app_metadata":{"email":"x"}`), 400, refused(`'Invalid property email' on property app_metadata.`)},
		"no JSON":            {`{`, 400, `{"statusCode":400,"error":"Bad Request","message":"Invalid request payload JSON format"}`},
		"weak password": {
			strings.Replace(user(""), "Correct-horse-9", "password", 1), 400,
			`{"statusCode":400,"error":"Bad Request","message":"PasswordStrengthError: Password is too weak"}`,
		},
		"taken address": {
			strings.Replace(user(""), "new@", "OLD@", 1), 409,
			`{"statusCode":409,"error":"Conflict","message":"The user already exists.","errorCode":"auth0_idp_error"}`,
		},
		"taken id": {
			user(`,"user_id":"ml-1"`), 409,
			`{"statusCode":409,"error":"Conflict","message":"The user already exists.","errorCode":"auth0_idp_error"}`,
		},
		"username": {
			user(`,"username":"ada"`), 400,
			`{"statusCode":400,"error":"Bad Request","message":"Cannot set username for connection without requires_username","errorCode":"invalid_body"}`,
		},
		"no such connection": {
			strings.Replace(user(""), connection, "Other", 1), 400,
			`{"statusCode":400,"error":"Bad Request","message":"The connection does not exist.","errorCode":"inexistent_connection"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, _ := seeded(nil)
			must(t, tenant.PutUser(auth0.User{ID: "auth0|ml-1", Email: "old@example.com"}))
			request(tenant, "POST", "/api/v2/users", c.body).want(t, c.status, c.want)
			if n := tenant.CountUsers(); n != 1 {
				t.Errorf("%d users, want the one that was there", n)
			}
		})
	}
}

func TestAddressesThatOnlyLookOddAreTaken(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	for _, email := range []string{"o'neil+ward.3@sub.example.co.uk", "Ünsal@krankenhaus.de", "a@xn--mnchen-3ya.de", "x_y@a-b.io"} {
		body := fmt.Sprintf(`{"connection":%q,"email":%q,"password":"Correct-horse-9"}`, connection, email)
		request(tenant, "POST", "/api/v2/users", body).want(t, http.StatusCreated, "")
	}
	for _, email := range []string{"a@b", "a..b@example.com", ".a@example.com", "a b@example.com", "a@example..com", "@example.com", "a@-x.com"} {
		body := fmt.Sprintf(`{"connection":%q,"email":%q,"password":"Correct-horse-9"}`, connection, email)
		request(tenant, "POST", "/api/v2/users", body).want(t, http.StatusBadRequest, "")
	}
}

func TestAProfileHoldsTenKilobytes(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	body := `{"connection":"` + connection + `","email":"a@example.com","password":"Correct-horse-9","app_metadata":{"note":"%s"}}`
	request(tenant, "POST", "/api/v2/users", fmt.Sprintf(body, strings.Repeat("x", 10<<10))).want(t, http.StatusBadRequest, "")
	request(tenant, "POST", "/api/v2/users", fmt.Sprintf(body, strings.Repeat("x", 9<<10))).want(t, http.StatusCreated, "")
}

func TestAConnectionWithoutAnApplicationCountsAsDisabled(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	tenant.SetConnection(connection, false, "MedLogistics Admin Frontend", "MedLogistics Sample Login")
	request(tenant, "POST", "/api/v2/users", userBody(1)).want(t, 400,
		`{"statusCode":400,"error":"Bad Request","message":"The connection is disabled.","errorCode":"connection_disabled"}`)
}

func TestMailGoesOutUnlessTheTemplatesAreOff(t *testing.T) {
	t.Parallel()
	user := func(n int, more string) string {
		return fmt.Sprintf(`{"connection":%q,"email":"u%d@example.com","password":"Correct-horse-9"%s}`, connection, n, more)
	}
	for name, c := range map[string]struct {
		verify, welcome bool
		more            string
		want            int
	}{
		"both off":                  {false, false, ``, 0},
		"unverified":                {true, false, ``, 1},
		"verified":                  {true, false, `,"email_verified":true`, 0},
		"verification declined":     {true, false, `,"verify_email":false`, 0},
		"verification asked for":    {true, false, `,"email_verified":true,"verify_email":true`, 1},
		"welcome in spite of it":    {true, true, `,"email_verified":true,"verify_email":false`, 1},
		"welcome and verification":  {true, true, ``, 2},
		"welcome, verification off": {false, true, ``, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, _ := seeded(nil)
			tenant.SetTemplate("verify_email", c.verify)
			tenant.SetTemplate("welcome_email", c.welcome)
			request(tenant, "POST", "/api/v2/users", user(1, c.more)).want(t, http.StatusCreated, "")
			if got := len(tenant.Mails()); got != c.want {
				t.Errorf("%d mails, want %d: %v", got, c.want, tenant.Mails())
			}
		})
	}
}

func TestPatchMergesMetadataAtTheFirstLevelOnly(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	must(t, tenant.PutUser(auth0.User{ID: "auth0|1", Email: "a@example.com", AppMetadata: map[string]any{
		"keep": "1", "drop": "2", "deep": map[string]any{"a": "1", "b": "2"},
	}}))
	request(tenant, "PATCH", "/api/v2/users/auth0%7C1", `{"app_metadata":{"drop":null,"deep":{"c":"3"}}}`).want(t, http.StatusOK, "")
	u, _ := tenant.User("auth0|1")
	if got := fmt.Sprint(u.AppMetadata); got != "map[deep:map[c:3] keep:1]" {
		t.Errorf("app_metadata = %s", got)
	}
	request(tenant, "PATCH", "/api/v2/users/auth0%7C1", `{"password":"Correct-horse-9","email":"b@example.com"}`).want(t, http.StatusBadRequest, "")
	request(tenant, "PATCH", "/api/v2/users/auth0%7C2", `{"blocked":true}`).want(t, 404,
		`{"statusCode":404,"error":"Not Found","message":"The user does not exist.","errorCode":"inexistent_user"}`)
}

func TestUsersAreReadByEmailInLowerCaseOnly(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	must(t, tenant.PutUser(auth0.User{ID: "auth0|1", Email: "Ada@Example.com"}))
	for email, want := range map[string]int{"ada%40example.com": 1, "Ada%40Example.com": 0} {
		if got := len(request(tenant, "GET", "/api/v2/users-by-email?email="+email, "").list(t)); got != want {
			t.Errorf("%s: %d users, want %d", email, got, want)
		}
	}
}

func TestIdsWithSlashesAndBarsAreReached(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	must(t, tenant.PutUser(auth0.User{ID: "auth0|a/b c", Email: "a@example.com"}))
	request(tenant, "GET", "/api/v2/users/auth0%7Ca%2Fb%20c", "").want(t, http.StatusOK, "")
	if tenant.Requests()["GET /api/v2/users/{id}"][200] != 1 {
		t.Errorf("requests = %v", tenant.Requests())
	}
}
