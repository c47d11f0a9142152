package auth0

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const tokenEndpoint = "POST /oauth/token"

// Grant types, as applications list them.
const (
	clientCredentials = "client_credentials"
	passwordGrant     = "password"
	passwordRealm     = "http://auth0.com/oauth/grant-type/password-realm"
)

// oauthFailure is the body of the Authentication API's errors.
type oauthFailure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	URI         string `json:"error_uri,omitempty"`
}

func oauthFail(status int, code, description string) reply {
	return answer(status, oauthFailure{Error: code, Description: description})
}

// An accessToken is what the tenant remembers of a token that it issued.
type accessToken struct {
	audience string
	scopes   []string
	expires  time.Time
}

// issueToken is POST /oauth/token.
func (t *Tenant) issueToken(c *call) reply {
	form, ok := c.form()
	if !ok {
		return oauthFail(http.StatusBadRequest, "invalid_request", "Invalid request payload")
	}
	client, ok := t.identify(c, form)
	if !ok {
		return oauthFail(http.StatusUnauthorized, "access_denied", "Unauthorized")
	}
	grant := form.Get("grant_type")
	switch grant {
	case clientCredentials, passwordGrant, passwordRealm:
	case "":
		return oauthFail(http.StatusForbidden, "invalid_request", "Missing required parameter: grant_type")
	default:
		return oauthFail(http.StatusForbidden, "unsupported_grant_type", "Unsupported grant type: "+grant)
	}
	if !slices.Contains(textsOf(client["grant_types"]), grant) {
		return oauthFail(http.StatusForbidden, "unauthorized_client", "Grant type '"+grant+"' not allowed for the client.")
	}
	if grant == clientCredentials {
		return t.machineToken(c, client, form)
	}
	return t.login(c, client, form)
}

// form reads the body as a form or as JSON.
func (c *call) form() (url.Values, bool) {
	if !strings.HasPrefix(c.Header.Get("Content-Type"), "application/json") {
		form, err := url.ParseQuery(string(c.raw))
		return form, err == nil
	}
	var object map[string]any
	if err := json.Unmarshal(c.raw, &object); err != nil {
		return nil, false
	}
	form := url.Values{}
	for key, value := range object {
		if s, ok := value.(string); ok {
			form.Set(key, s)
		}
	}
	return form, true
}

// identify finds the application that asks, by HTTP Basic or by the body. One
// whose authentication method is "none" has no secret to tell.
func (t *Tenant) identify(c *call, form url.Values) (document, bool) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, pass, ok := c.BasicAuth(); ok {
		// RFC 6749, section 2.3.1: both are form-encoded first.
		var err1, err2 error
		id, err1 = url.QueryUnescape(user)
		secret, err2 = url.QueryUnescape(pass)
		if err1 != nil || err2 != nil {
			return nil, false
		}
	}
	client := t.clients.get(id)
	if client == nil {
		return nil, false
	}
	return client, text(client, "token_endpoint_auth_method") == "none" || secret == text(client, "client_secret") && secret != ""
}

// machineToken answers the client credentials grant.
func (t *Tenant) machineToken(c *call, client document, form url.Values) reply {
	asked := form.Get("audience")
	if asked == "" {
		return oauthFail(http.StatusForbidden, "access_denied", "No audience parameter was provided, and no default audience has been configured")
	}
	audience := c.inner(asked)
	api := t.api(audience)
	if api == nil {
		return oauthFail(http.StatusForbidden, "access_denied", "Service not found: "+asked)
	}
	id := text(client, "client_id")
	grant := t.grants.find(func(d document) bool { return d["client_id"] == id && d["audience"] == audience })
	if grant == nil {
		return oauthFail(http.StatusForbidden, "access_denied", `Client is not authorized to access "`+asked+
			`". You might probably want to create a "client-grant" associated to this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants`)
	}
	scopes := textsOf(grant["scope"])
	if wanted := strings.Fields(form.Get("scope")); len(wanted) > 0 {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(wanted, s) })
	}
	return t.issue(c, issued{
		api: api, audience: audience, scopes: scopes, lifetime: number(api, "token_lifetime"),
		access: map[string]any{
			"iss": "https://" + c.domain + "/", "sub": id + "@clients", "aud": asked,
			"azp": id, "gty": "client-credentials",
		},
	})
}

// issued is a token about to be signed.
type issued struct {
	api      document
	audience string
	scopes   []string
	lifetime int            // seconds
	access   map[string]any // claims of the access token, without times and scope
	id       map[string]any // claims of the ID token, nil for none
}

// tokenAnswer is the body of a successful request for a token.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token,omitempty"`
	Scope       string `json:"scope,omitempty"`
	ExpiresIn   int    `json:"expires_in"`
	TokenType   string `json:"token_type"`
}

func (t *Tenant) issue(c *call, i issued) reply {
	now := c.now
	i.access["iat"], i.access["exp"] = now.Unix(), now.Unix()+int64(i.lifetime)
	i.access["jti"] = randomID(alphanumeric, 22)
	out := tokenAnswer{Scope: strings.Join(i.scopes, " "), ExpiresIn: i.lifetime, TokenType: "Bearer"}
	if out.Scope != "" {
		i.access["scope"] = out.Scope
	}
	remembered := &accessToken{
		audience: i.audience, scopes: i.scopes, expires: now.Add(time.Duration(i.lifetime) * time.Second),
	}
	return reply{status: http.StatusOK, late: func() any {
		if i.audience == "" {
			// Without an API there is nobody who could read a JWT.
			out.AccessToken = randomID(alphanumeric, 32)
		} else {
			out.AccessToken = t.key().sign(i.access)
		}
		if i.id != nil {
			i.id["iat"], i.id["exp"] = now.Unix(), now.Unix()+int64(idTokenLifetime/time.Second)
			out.IDToken = t.key().sign(i.id)
		}
		t.remember(out.AccessToken, remembered, now)
		return out
	}}
}

// idTokenLifetime is Auth0's default.
const idTokenLifetime = 10 * time.Hour

func (t *Tenant) remember(token string, a *accessToken, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tokens) > 10_000 {
		for key, old := range t.tokens {
			if now.Sub(old.expires) > time.Hour {
				delete(t.tokens, key)
			}
		}
	}
	t.tokens[token] = a
}

// Token returns a token for the Management API with these scopes, without a
// request and without a signature, for tests that are not about tokens.
func (t *Tenant) Token(scopes ...string) string {
	token, now := randomID(alphanumeric, 32), t.now()
	t.remember(token, &accessToken{audience: managementAPI, scopes: scopes, expires: now.Add(24 * time.Hour)}, now)
	return token
}

// expire lets a token expire.
func (t *Tenant) expire(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.tokens[token]; a != nil {
		a.expires = time.Time{}
	}
}

// ExpireTokens lets every token expire that the tenant has issued so far.
func (t *Tenant) ExpireTokens() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.tokens {
		a.expires = time.Time{}
	}
}

// authenticate reads the token of a request to the Management API.
func (t *Tenant) authenticate(c *call) (reply, bool) {
	if len(c.endpoint.scopes) == 0 {
		return reply{}, true
	}
	token := c.bearer()
	if token == "" {
		return fail(http.StatusUnauthorized, "Missing authentication", ""), false
	}
	c.token = t.tokens[token]
	switch {
	case c.token == nil:
		return unauthorized("Invalid token"), false
	case !c.now.Before(c.token.expires):
		return unauthorized("Expired token received for JSON Web Token validation"), false
	case c.token.audience != managementAPI:
		return unauthorized("Bad audience: " + c.outer(c.token.audience)), false
	}
	return reply{}, true
}

func unauthorized(message string) reply {
	return answer(http.StatusUnauthorized, failure{
		Status: http.StatusUnauthorized, Error: "Unauthorized", Message: message,
		Attributes: &failureAttributes{Error: message},
	})
}

// authorize checks the scopes of the token.
func (c *call) authorize() (reply, bool) {
	if len(c.endpoint.scopes) == 0 {
		return reply{}, true
	}
	for _, scope := range c.endpoint.scopes {
		if slices.Contains(c.token.scopes, scope) {
			return reply{}, true
		}
	}
	return fail(http.StatusForbidden,
		"Insufficient scope, expected any of: "+strings.Join(c.endpoint.scopes, ","), "insufficient_scope"), false
}
