package auth0

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mostFailures is after how many wrong passwords in a row brute-force
// protection blocks an address from a user.
const mostFailures = 10

// A loginRecord is what the tenant remembers of logins from one address to one
// user.
type loginRecord struct {
	ip, login string
	failures  int
	attempts  bucket
}

// attempt counts a login. Auth0 allows 20 a minute from one address to one
// user, then 10 a minute, successful ones included. A tenant whose Authentication
// API has no limit has none here either.
func (t *Tenant) attempt(c *call, username string) (*loginRecord, bool) {
	host, _, _ := net.SplitHostPort(c.RemoteAddr)
	username = strings.ToLower(username)
	key := mailKey(host, username)
	record := t.logins[key]
	if record == nil {
		record = &loginRecord{ip: host, login: username, attempts: bucket{limit: perMinute(20, 10), tokens: 20}}
		t.logins[key] = record
	}
	return record, t.throttle.limits.Authentication.Burst == 0 || record.attempts.take(c.now)
}

// login answers the password grants.
func (t *Tenant) login(c *call, client document, form url.Values) reply {
	connection, refused, ok := t.realm(client, form)
	if !ok {
		return refused
	}
	record, ok := t.attempt(c, form.Get("username"))
	if !ok {
		return oauthFail(http.StatusTooManyRequests, "too_many_requests", "Too Many Requests")
	}
	protected, _ := nested(connection, "options")["brute_force_protection"].(bool)
	if protected && record.failures >= mostFailures {
		return oauthFail(http.StatusTooManyRequests, "too_many_attempts",
			"Your account has been blocked after multiple consecutive login attempts. We’ve sent you a notification via your preferred contact method with instructions on how to unblock it.")
	}
	u := t.account(text(connection, "name"), form.Get("username"))
	if u == nil || !u.password.matches(u.id, form.Get("password")) {
		record.failures++
		return oauthFail(http.StatusForbidden, "invalid_grant", "Wrong email or password.")
	}
	record.failures = 0
	if u.has(blocked) {
		return oauthFail(http.StatusUnauthorized, "unauthorized", "user is blocked")
	}
	return t.userToken(c, client, u, form)
}

// realm finds the connection that a login goes to.
func (t *Tenant) realm(client document, form url.Values) (document, reply, bool) {
	name := form.Get("realm")
	if form.Get("grant_type") == passwordGrant {
		if name = text(t.settings, "default_directory"); name == "" {
			return nil, oauthFail(http.StatusInternalServerError, "server_error", "Authorization server not configured with default connection."), false
		}
	}
	connection := t.connections.find(func(d document) bool {
		return slices.Contains(textsOf(d["realms"]), name) || d["name"] == name
	})
	if connection == nil {
		return nil, oauthFail(http.StatusBadRequest, "invalid_request", "unknown or invalid realm: "+name), false
	}
	if !slices.Contains(textsOf(connection["enabled_clients"]), text(client, "client_id")) {
		return nil, oauthFail(http.StatusBadRequest, "invalid_request", "the connection is not enabled for the client"), false
	}
	return connection, reply{}, true
}

// account finds a user by what people type: an address in any case or a name.
func (t *Tenant) account(connection, login string) *user {
	login = strings.ToLower(strings.TrimSpace(login))
	if u := t.users.in(connection, login); u != nil {
		return u
	}
	return t.users.named(connection, login)
}

// userToken issues the tokens of a login.
func (t *Tenant) userToken(c *call, client document, u *user, form url.Values) reply {
	asked := form.Get("audience")
	audience := c.inner(asked)
	api := t.api(audience)
	if asked != "" && api == nil {
		return oauthFail(http.StatusForbidden, "access_denied", "Service not found: "+asked)
	}
	wanted := strings.Fields(form.Get("scope"))
	oidc := slices.DeleteFunc(slices.Clone(wanted), func(s string) bool { return !isOIDCScope(s) })
	granted := append(oidc, t.grantedScopes(u, api, wanted)...)
	custom := t.runActions(u, text(client, "client_id"), wanted)
	u.login, u.logins = c.now.UnixMilli(), u.logins+1
	issuer := "https://" + c.domain + "/"
	i := issued{api: api, audience: audience, scopes: granted, lifetime: 86_400, access: map[string]any{
		"iss": issuer, "sub": u.id, "azp": text(client, "client_id"), "gty": passwordGrant, "aud": asked,
	}}
	if api != nil {
		i.lifetime = number(api, "token_lifetime")
		if text(api, "token_dialect") == "access_token_authz" {
			i.access["permissions"] = t.permissionsOf(u, audience)
		}
	}
	maps.Copy(i.access, custom.access)
	if slices.Contains(wanted, "openid") {
		i.access["aud"] = []string{asked, issuer + "userinfo"}
		i.id = u.idClaims(wanted)
		maps.Copy(i.id, map[string]any{"iss": issuer, "sub": u.id, "aud": client["client_id"]})
		maps.Copy(i.id, custom.id)
	}
	return t.issue(c, i)
}

func isOIDCScope(s string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "address", "phone", "offline_access"}, s)
}

// grantedScopes returns which scopes of an API a login gets: all that it asks
// for, or with RBAC those that the user's permissions cover.
func (t *Tenant) grantedScopes(u *user, api document, wanted []string) []string {
	if api == nil {
		return nil
	}
	allowed := scopeNames(api)
	if on, _ := api["enforce_policies"].(bool); on {
		allowed = t.permissionsOf(u, text(api, "identifier"))
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(s string) bool {
		return isOIDCScope(s) || !slices.Contains(allowed, s)
	})
}

// idClaims returns what an ID token says about the user.
func (u *user) idClaims(scopes []string) map[string]any {
	claims := map[string]any{}
	if slices.Contains(scopes, "profile") {
		claims["name"], claims["nickname"], claims["picture"] = u.displayName(), u.displayNickname(), u.displayPicture()
		claims["updated_at"] = millis(u.updated)
	}
	if slices.Contains(scopes, "email") && u.email != "" {
		claims["email"], claims["email_verified"] = u.email, u.has(verified)
	}
	return claims
}
