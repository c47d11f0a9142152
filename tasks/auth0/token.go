package auth0

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A grant is a Management API token with what was granted.
type grant struct {
	token   string
	scopes  []string
	renewAt time.Time
}

// tokens fetches the Management API's token by the client credentials grant and
// keeps it: tokens are metered, so there is never one a request.
// See https://auth0.com/docs/secure/tokens/access-tokens/management-api-access-tokens.
type tokens struct {
	access Access
	base   http.RoundTripper

	// turn is held by whoever reads, fetches or drops the token. A channel and
	// not a mutex, so that a context ends the wait for a fetch.
	turn    chan struct{}
	current grant
}

func newTokens(a Access, base http.RoundTripper) *tokens {
	return &tokens{access: a, base: base, turn: make(chan struct{}, 1)}
}

// get returns the token, a new one if there is none or the last is about to end.
func (t *tokens) get(ctx context.Context) (grant, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return grant{}, fmt.Errorf("get a token from %s: %w", t.access.Domain, context.Cause(ctx))
	}
	if t.current.token != "" && time.Now().Before(t.current.renewAt) {
		return t.current, nil
	}
	g, err := t.fetch(ctx)
	if err != nil {
		return grant{}, explain(fmt.Errorf("get a token from %s: %w", t.access.Domain, err))
	}
	t.current = g
	return g, nil
}

// drop forgets a token that the tenant has refused, unless a newer one is here.
func (t *tokens) drop(token string) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.current.token == token {
		t.current = grant{}
	}
}

// fetch asks for a token. Too many requests are waited out; any other trouble is
// for the caller, who repeats the request that needs the token.
func (t *tokens) fetch(ctx context.Context) (grant, error) {
	wait := firstBackoff
	for {
		g, err := t.ask(ctx)
		if status(err) != http.StatusTooManyRequests && !isGlobalLimit(err) {
			return g, err
		}
		if err := pause(ctx, wait); err != nil {
			return g, err
		}
		wait = min(2*wait, longestBackoff)
	}
}

// isGlobalLimit recognises the token endpoint's own way of saying "too many
// requests", an HTTP 500 (https://community.auth0.com/t/77440).
func isGlobalLimit(err error) bool {
	return status(err) == http.StatusInternalServerError && strings.Contains(err.Error(), "limit has been reached")
}

func (t *tokens) ask(ctx context.Context) (grant, error) {
	body, err := json.Marshal(map[string]string{
		"grant_type":    "client_credentials",
		"client_id":     t.access.ClientID,
		"client_secret": t.access.ClientSecret.Reveal(),
		"audience":      t.access.url("/api/v2/"),
	})
	if err != nil {
		return grant{}, err
	}
	var answer struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"` // seconds
		Scope   string  `json:"scope"`      // separated by spaces
	}
	if err := postJSON(ctx, t.base, t.access.url("/oauth/token"), body, &answer); err != nil {
		return grant{}, err
	}
	if answer.Token == "" {
		return grant{}, &refusal{status: http.StatusOK, message: "the answer holds no access_token"}
	}
	life := time.Duration(answer.Expires * float64(time.Second))
	return grant{
		token:   answer.Token,
		scopes:  strings.Fields(answer.Scope),
		renewAt: time.Now().Add(life - min(time.Minute, life/10)),
	}, nil
}

// missing returns those of wanted that were not granted.
func (g grant) missing(wanted []string) []string {
	var missing []string
	for _, scope := range wanted {
		if !slices.Contains(g.scopes, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// postJSON sends body to the token endpoint and decodes the answer. The texts of
// its refusals name no user.
func postJSON(ctx context.Context, base http.RoundTripper, url string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := exchange(base, req)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return readRefusal(resp.StatusCode, resp.bytes, false)
	}
	if err := json.Unmarshal(resp.bytes, answer); err != nil {
		return &refusal{status: resp.StatusCode, message: "the answer is not JSON: is this the tenant's domain?"}
	}
	return nil
}
