package auth0_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// allowed counts how many reads pass until one is refused.
func allowed(tenant *auth0.Tenant, path string) (int, answer) {
	for n := 0; ; n++ {
		if a := request(tenant, "GET", path, ""); a.status == http.StatusTooManyRequests || n > 1000 {
			return n, a
		}
	}
}

func TestTheFreePlanAllowsTwoRequestsASecond(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Plan = auth0.Free })
	n, refused := allowed(tenant, "/api/v2/roles")
	if n != 2 {
		t.Errorf("%d requests at once, want 2", n)
	}
	refused.want(t, 429, `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`)
	for key, want := range map[string]string{"x-ratelimit-limit": "2", "x-ratelimit-remaining": "0"} {
		if got := refused.header.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	reset, err := strconv.ParseInt(refused.header.Get("x-ratelimit-reset"), 10, 64)
	must(t, err)
	if wait := time.Unix(reset, 0).Sub(clock.now()); wait <= 0 || wait > time.Second {
		t.Errorf("the reset is in %s", wait)
	}
	if refused.header.Get("Retry-After") != "" {
		t.Error("the Management API sends no Retry-After")
	}
	clock.advance(499 * time.Millisecond)
	request(tenant, "GET", "/api/v2/roles", "").want(t, 429, "")
	clock.advance(time.Millisecond)
	a := request(tenant, "GET", "/api/v2/roles", "")
	a.want(t, 200, "")
	if got := a.header.Get("x-ratelimit-remaining"); got != "0" {
		t.Errorf("remaining after success = %q, want 0", got)
	}
}

func TestEnterpriseAllowsABurstAndThenSixteenASecond(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Plan = auth0.Enterprise })
	if n, _ := allowed(tenant, "/api/v2/roles"); n != 50 {
		t.Errorf("burst of %d, want 50", n)
	}
	passed := 0
	for range 1000 { // ten seconds
		clock.advance(10 * time.Millisecond)
		if request(tenant, "GET", "/api/v2/roles", "").status == http.StatusOK {
			passed++
		}
	}
	if passed != 160 {
		t.Errorf("%d requests in ten seconds, want 160", passed)
	}
}

func TestEssentialsLimitsGroupsOfEndpoints(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Plan = auth0.Essentials })
	n := 0
	var a answer
	for ; a.status != http.StatusTooManyRequests; n++ {
		a = request(tenant, "POST", "/api/v2/users", userBody(n))
	}
	if n-1 != 20 {
		t.Errorf("%d users at once, want 20", n-1)
	}
	a.want(t, 429, `{"statusCode":429,"error":"Too Many Requests","message":"Global per minute users_write group limit has been reached","errorCode":"too_many_requests"}`)
	if n, _ := allowed(tenant, "/api/v2/users/x"); n != 40 {
		t.Errorf("%d reads of users, want 40: the groups are apart", n)
	}
	if n, _ := allowed(tenant, "/api/v2/roles"); n != 10 {
		t.Errorf("%d other requests, want 10", n)
	}
	clock.advance(time.Second) // 200 a minute, refilled by the second
	passed := 0
	for range 10 {
		if request(tenant, "POST", "/api/v2/users", userBody(100+passed)).status == http.StatusCreated {
			passed++
		}
	}
	if passed != 3 {
		t.Errorf("%d users a second later, want 3", passed)
	}
}

func TestAFixedWindowRefillsAtTheTopOfTheSecond(t *testing.T) {
	t.Parallel()
	limits := auth0.Free.Limits()
	limits.FixedWindow = true
	tenant, clock := seeded(func(c *auth0.Config) { c.Limits = &limits })
	clock.advance(900 * time.Millisecond)
	if n, _ := allowed(tenant, "/api/v2/roles"); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	clock.advance(99 * time.Millisecond)
	request(tenant, "GET", "/api/v2/roles", "").want(t, 429, "")
	clock.advance(time.Millisecond)
	if n, _ := allowed(tenant, "/api/v2/roles"); n != 2 {
		t.Errorf("%d requests at the top of the second, want 2", n)
	}
}

func TestTheGlobalLimitComesBeforeTheGroups(t *testing.T) {
	t.Parallel()
	limits := auth0.Essentials.Limits()
	limits.Global = auth0.Limit{Burst: 1, Rate: 1, Per: time.Second}
	tenant, _ := seeded(func(c *auth0.Config) { c.Limits = &limits })
	request(tenant, "GET", "/api/v2/roles", "").want(t, 200, "")
	request(tenant, "GET", "/api/v2/roles", "").want(t, 429, `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`)
}

func TestLimitsChangeWhileTheTenantRuns(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	if n, _ := allowed(tenant, "/api/v2/roles"); n <= 1000 {
		t.Errorf("an unlimited tenant refused request %d", n)
	}
	tenant.SetPlan(auth0.EnterpriseTest)
	if n, _ := allowed(tenant, "/api/v2/roles"); n != 10 {
		t.Errorf("%d requests, want 10", n)
	}
}

func TestPlansAreNamedInText(t *testing.T) {
	t.Parallel()
	for _, plan := range []auth0.Plan{auth0.Enterprise, auth0.EnterpriseTest, auth0.Essentials, auth0.Free, auth0.PrivateCloud, auth0.Unlimited} {
		text, err := plan.MarshalText()
		must(t, err)
		var back auth0.Plan
		must(t, back.UnmarshalText(text))
		if back != plan {
			t.Errorf("%s came back as %s", plan, back)
		}
	}
	var plan auth0.Plan
	if err := plan.UnmarshalText([]byte("gold")); err == nil {
		t.Error("there is no plan gold")
	}
}
