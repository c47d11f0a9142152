package auth0_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// withClient lets the token requests of the SDK go through the server's client.
func withClient(ctx context.Context, server *auth0.Server) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, server.Client())
}

// verified checks a token by the tenant's published keys and returns its claims.
func verified(t *testing.T, server *auth0.Server, token string) map[string]any {
	t.Helper()
	var keys jose.JSONWebKeySet
	get(t, server.Client(), server.URL+"/.well-known/jwks.json", &keys)
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	must(t, err)
	var registered jwt.Claims
	claims := map[string]any{}
	must(t, parsed.Claims(keys, &registered, &claims))
	must(t, registered.ValidateWithLeeway(jwt.Expected{Issuer: "https://" + server.Domain + "/", Time: time.Now()}, 0))
	return claims
}

func get(t *testing.T, client *http.Client, url string, into any) {
	t.Helper()
	response, err := client.Get(url)
	must(t, err)
	defer response.Body.Close()
	must(t, json.NewDecoder(response.Body).Decode(into))
}
