package auth0_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// A clock that moves when the test says so.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// seeded is a tenant of MedLogistics whose configuration a test may change.
func seeded(change func(*auth0.Config)) (*auth0.Tenant, *clock) {
	clock := newClock()
	config := auth0.Config{Plan: auth0.Unlimited, Domain: "medlog.test", Seed: auth0.MedLogistics(), Now: clock.now}
	if change != nil {
		change(&config)
	}
	return auth0.NewTenant(config), clock
}

// An answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// object returns the body as a JSON object.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(a.body), &object); err != nil {
		t.Fatalf("status %d, no JSON object: %s", a.status, a.body)
	}
	return object
}

// list returns the body as a JSON array.
func (a answer) list(t *testing.T) []any {
	t.Helper()
	var list []any
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Fatalf("status %d, no JSON array: %s", a.status, a.body)
	}
	return list
}

// request makes a request with every scope, by the handler.
func request(tenant *auth0.Tenant, method, path, body string) answer {
	return requestAs(tenant, tenant.Token(auth0.ManagementScopes()...), method, path, body)
}

func requestAs(tenant *auth0.Tenant, token, method, path, body string) answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	return record(tenant, r)
}

func record(tenant *auth0.Tenant, r *http.Request) answer {
	w := httptest.NewRecorder()
	tenant.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// want compares an answer with a status and a body.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || body != "" && a.body != body {
		t.Errorf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}
