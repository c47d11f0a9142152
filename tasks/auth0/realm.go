package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// A realm is where users log in, seen from outside: the token endpoint, the keys
// and the API.
type realm struct {
	access     Access
	base       http.RoundTripper
	app        application
	connection string
	audience   string
	keys       jose.JSONWebKeySet

	opened time.Time // by this machine's clock
	clock  time.Time // the tenant's then
}

// openRealm fetches the keys that the tenant signs with.
func openRealm(ctx context.Context, t *SampleLogin, app application) (*realm, error) {
	base, err := t.transport()
	if err != nil {
		return nil, err
	}
	r := &realm{access: t.Access, base: base, app: app, connection: t.Connection, audience: t.Audience}
	err = again(ctx, func() error {
		resp, err := r.get(ctx, r.access.url("/.well-known/jwks.json"), redact.Secret{})
		if err != nil {
			return err
		}
		r.opened = time.Now()
		if r.clock, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
			return errors.New("the tenant's answer does not say what time it is")
		}
		return json.Unmarshal(resp.bytes, &r.keys)
	})
	return r, plain(ctx, "read the tenant's keys", err)
}

// now returns what time the tenant's clock shows, to the second.
func (r *realm) now() time.Time { return r.clock.Add(time.Since(r.opened)) }

// logIn returns the access token of a login with a password at the connection.
func (r *realm) logIn(ctx context.Context, email string, password redact.Secret) (redact.Secret, error) {
	body, err := json.Marshal(map[string]string{
		"grant_type":    passwordRealm,
		"realm":         r.connection,
		"client_id":     r.app.id,
		"client_secret": r.app.secret.Reveal(),
		"username":      email,
		"password":      password.Reveal(),
		"audience":      r.audience,
		"scope":         "openid",
	})
	if err != nil {
		return redact.Secret{}, err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	err = again(ctx, func() error { return postJSON(ctx, r.base, r.access.url("/oauth/token"), body, &answer) })
	if r, ok := errors.AsType[*refusal](err); ok {
		err = task.Hint(err, loginHint(r.code))
	}
	return redact.NewSecret(answer.Token), plain(ctx, "ask for a token", err)
}

func loginHint(code string) string {
	switch code {
	case "mfa_required":
		return "the tenant asks for a second factor, which no program has: make an exception for this application for the time of the migration"
	case "unauthorized_client":
		return "the tenant does not allow the password-realm grant: allow it in the tenant's advanced settings"
	case "access_denied":
		return "check audience: it must be the identifier of an API in the tenant, or a post-login Action denies the login"
	case "too_many_attempts", "too_many_requests":
		return "the tenant's attack protection stopped the login: let this machine's address pass, or wait"
	}
	return "look in the tenant's log for the reason (Monitoring > Logs)"
}

// verify checks the token as an API would, and returns its claims.
func (r *realm) verify(token redact.Secret, subject string) (map[string]any, error) {
	parsed, err := jwt.ParseSigned(token.Reveal(), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, task.Hint(errors.New("the access token is not a JWT signed with RS256"),
			"set the API's signing algorithm to RS256 in the tenant, and check audience")
	}
	keys := r.keys.Key(parsed.Headers[0].KeyID)
	if len(keys) == 0 {
		return nil, errors.New("the access token is signed with a key that the tenant does not publish")
	}
	var standard jwt.Claims
	claims := map[string]any{}
	if err := parsed.Claims(keys[0], &standard, &claims); err != nil {
		return nil, fmt.Errorf("check the access token's signature: %w", err)
	}
	err = standard.Validate(jwt.Expected{
		Issuer: r.access.url("/"), Subject: subject, AnyAudience: jwt.Audience{r.audience}, Time: time.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("check the access token: %w", err)
	}
	return claims, nil
}

// callAPI calls the API as a client would.
func (r *realm) callAPI(ctx context.Context, url string, token redact.Secret) error {
	err := again(ctx, func() error {
		_, err := r.get(ctx, url, token)
		return err
	})
	if s := status(err); s != 0 {
		return task.Hint(fmt.Errorf("call the API: it answered %d", s), apiHint(s))
	}
	return plain(ctx, "call the API", err)
}

func apiHint(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "the API does not accept the tenant's tokens: check the domain and the audience that it is configured with"
	case http.StatusForbidden:
		return "the API accepts the token but not the role: check the claim that it reads"
	}
	return "look in the API's log"
}

// get fetches url, with the token if there is one. Any status but 200 is a
// refusal.
func (r *realm) get(ctx context.Context, url string, token redact.Secret) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := exchange(r.base, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &refusal{status: resp.StatusCode, private: true}
	}
	return resp, nil
}
