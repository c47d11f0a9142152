package medlogistics

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// rolesClaim is where the tenant's Action puts a user's roles.
const rolesClaim = "https://api.medlog.app/roles"

// A verifier checks access tokens as the MedLogistics API does: RS256, signed
// with a key of the tenant, for this audience, from this issuer, not expired.
type verifier struct {
	keys     *keys
	issuer   string
	audience string
}

// claims are those of a token that was found good.
type claims struct {
	subject string
	roles   []string
}

// verify returns the claims of a token, or why it is no good.
func (v verifier) verify(ctx context.Context, token string) (claims, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(parsed.Headers) != 1 {
		return claims{}, errors.New("it is no RS256 token")
	}
	key, err := v.keys.find(ctx, parsed.Headers[0].KeyID)
	if err != nil {
		return claims{}, err
	}
	var standard jwt.Claims
	var custom map[string]any
	if err := parsed.Claims(key, &standard, &custom); err != nil {
		return claims{}, errors.New("its signature is not the tenant's")
	}
	if standard.Expiry == nil || standard.Subject == "" {
		return claims{}, errors.New("it has no expiry or no subject")
	}
	err = standard.ValidateWithLeeway(jwt.Expected{
		Issuer: v.issuer, AnyAudience: jwt.Audience{v.audience}, Time: time.Now(),
	}, 0)
	if err != nil {
		return claims{}, fmt.Errorf("its claims are refused: %w", err)
	}
	return claims{standard.Subject, texts(custom[rolesClaim])}, nil
}

func texts(value any) []string {
	list, _ := value.([]any)
	var all []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

const (
	keysTimeout = 2 * time.Second
	keysPause   = time.Second // between two looks at the tenant for a key that is not there
)

// keys are the tenant's public keys, fetched when one is asked for that is not
// known yet.
type keys struct {
	url    string
	client *http.Client

	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time
}

func newKeys(domain, caFile string) (*keys, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read the tenant's certificate: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the tenant's certificate: %s holds none", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &keys{
		url:    "https://" + domain + "/.well-known/jwks.json",
		client: &http.Client{Transport: transport, Timeout: keysTimeout},
	}, nil
}

var errNoKey = errors.New("the tenant has no such key")

// find returns the public key with that id.
func (k *keys) find(ctx context.Context, id string) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.set.Key(id); len(found) > 0 {
		return found[0].Key, nil
	}
	if time.Since(k.fetched) < keysPause {
		return nil, errNoKey // or anybody could have us call the tenant all the time
	}
	set, err := k.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch the tenant's keys: %w", err)
	}
	k.set, k.fetched = set, time.Now()
	if found := k.set.Key(id); len(found) > 0 {
		return found[0].Key, nil
	}
	return nil, errNoKey
}

func (k *keys) fetch(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return set, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return set, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return set, fmt.Errorf("the tenant answers %s", response.Status)
	}
	err = json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&set)
	return set, err
}
