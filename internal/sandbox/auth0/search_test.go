package auth0_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// found returns how many users a query finds.
func found(t *testing.T, tenant *auth0.Tenant, q string) int {
	t.Helper()
	a := request(tenant, "GET", "/api/v2/users?include_totals=true&search_engine=v3&q="+url.QueryEscape(q), "")
	if a.status != 200 {
		t.Fatalf("%s: %d %s", q, a.status, a.body)
	}
	return int(a.object(t)["total"].(float64))
}

func TestSearchLagsBehindWhileReadsDoNot(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.SearchDelay = 2 * time.Second })
	request(tenant, "POST", "/api/v2/users", userBody(1)).want(t, 201, "")
	steps := []struct {
		do   func()
		find map[string]int
	}{
		{func() {}, map[string]int{"app_metadata.role:nurse": 0}},
		{func() { clock.advance(2 * time.Second) }, map[string]int{"app_metadata.role:nurse": 1}},
		{func() {
			request(tenant, "PATCH", "/api/v2/users/auth0%7Cml-1", `{"app_metadata":{"role":"doctor"}}`).want(t, 200, "")
		}, map[string]int{"app_metadata.role:nurse": 1, "app_metadata.role:doctor": 0}},
		{func() { clock.advance(2 * time.Second) }, map[string]int{"app_metadata.role:nurse": 0, "app_metadata.role:doctor": 1}},
		{func() { tenant.DeleteUser("auth0|ml-1") }, map[string]int{"app_metadata.role:doctor": 1}},
		{func() { clock.advance(2 * time.Second) }, map[string]int{"app_metadata.role:doctor": 0}},
	}
	for n, step := range steps {
		step.do()
		for q, want := range step.find {
			if got := found(t, tenant, q); got != want {
				t.Errorf("step %d: %s finds %d, want %d", n, q, got, want)
			}
		}
	}
	request(tenant, "GET", "/api/v2/users/auth0%7Cml-1", "").want(t, 404, "")
}

func TestSearchKnowsTheUsualQueries(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	for n, role := range []string{"nurse", "doctor", "nurse", "pharmacist"} {
		must(t, tenant.PutUser(auth0.User{
			ID: fmt.Sprint("auth0|ml-", n), Email: fmt.Sprintf("u%d@example.com", n), Name: fmt.Sprint("Person ", n),
			AppMetadata: map[string]any{"role": role, "wards": []any{"a", "b"}, "deep": map[string]any{"n": n}}, Blocked: n == 3,
			CreatedAt: time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC),
		}))
	}
	for q, want := range map[string]int{
		"": 4, "*": 4, `email:"U1@Example.com"`: 1, "email:u*": 4, `user_id:"auth0|ml-2"`: 1,
		"app_metadata.role:nurse": 2, "app_metadata.role:(nurse OR doctor)": 3, "app_metadata.wards:b": 4,
		"app_metadata.deep.n:2": 1, `identities.connection:"` + connection + `"`: 4, "NOT app_metadata.role:nurse": 2,
		"app_metadata.role:nurse AND email:u0*": 1, "app_metadata.role:doctor OR email:u0*": 2, "blocked:true": 1,
		"-app_metadata.role:nurse AND blocked:true": 1, "_exists_:app_metadata.role": 4, "_exists_:username": 0,
		"created_at:[2026-01-02 TO 2026-01-03]": 2, "created_at:{2026-01-02T00:00:00.000Z TO *}": 2,
		`name:"Person 3"`: 1, "person": 0, "(email:u0* OR email:u1*) AND app_metadata.role:nurse": 1,
	} {
		if got := found(t, tenant, q); got != want {
			t.Errorf("%s finds %d, want %d", q, got, want)
		}
	}
	for _, q := range []string{"(email:x", "email:", "AND", "created_at:[2026]"} {
		request(tenant, "GET", "/api/v2/users?q="+url.QueryEscape(q), "").want(t, 400, "")
	}
	sorted := request(tenant, "GET", "/api/v2/users?sort=email:-1&per_page=1&fields=email", "").body
	if sorted != `[{"email":"u3@example.com"}]` {
		t.Errorf("sorted = %s", sorted)
	}
}

func TestSearchEndsAtAThousand(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	create(t, tenant, 0, 1100)
	if n := len(request(tenant, "GET", "/api/v2/users?page=9&per_page=100", "").list(t)); n != 100 {
		t.Errorf("%d users on the last page, want 100", n)
	}
	request(tenant, "GET", "/api/v2/users?page=10&per_page=100", "").want(t, 400,
		`{"statusCode":400,"error":"Bad Request","message":"You can only page through the first 1000 records. See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation","errorCode":"invalid_paging"}`)
	request(tenant, "GET", "/api/v2/users?per_page=101", "").want(t, 400, "")
	if n := found(t, tenant, ""); n != 1100 {
		t.Errorf("total = %d, want 1100", n)
	}
}
