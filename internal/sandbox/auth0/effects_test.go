package auth0_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

func TestLimitsChangeInTheMiddle(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	tenant.Fault(auth0.Fault{After: 5, Count: 1, Do: auth0.ChangeLimits(auth0.Free)})
	got := ""
	for range 8 {
		got += fmt.Sprint(request(tenant, "GET", "/api/v2/roles", "").status, " ")
	}
	if want := "200 200 200 200 200 200 200 429 "; got != want {
		t.Errorf("got %s, want %s: two requests of the burst from the sixth on", got, want)
	}
}

func TestAClockThatIsWrongShowsInHeadersAndTokens(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Plan = auth0.Free })
	token := tenant.Token("read:roles") // good for a day
	tenant.Fault(auth0.Fault{Count: 1, Do: auth0.Skew(-90 * time.Second)})
	a := requestAs(tenant, token, "GET", "/api/v2/roles", "")
	a.want(t, 200, "")
	if want := clock.now().Add(-90 * time.Second).Format(http.TimeFormat); a.header.Get("Date") != want {
		t.Errorf("Date = %s, want %s", a.header.Get("Date"), want)
	}
	if want := fmt.Sprint(clock.now().Add(-89 * time.Second).Unix()); a.header.Get("X-Ratelimit-Reset") != want {
		t.Errorf("reset = %s, want %s", a.header.Get("X-Ratelimit-Reset"), want)
	}
	tenant.Skew(25 * time.Hour)
	requestAs(tenant, token, "GET", "/api/v2/roles", "").want(t, 401, "")
	tenant.Skew(0)
	requestAs(tenant, token, "GET", "/api/v2/roles", "").want(t, 200, "")
}

func TestASlowJobIsPendingForLongerThanTheOthersAndFailsInTheEnd(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(nil)
	for _, delay := range []time.Duration{10 * time.Minute, 3 * time.Hour} {
		tenant.Fault(auth0.Fault{Endpoint: "POST /api/v2/jobs/users-exports", Count: 1, Do: auth0.JobSlow(delay)})
	}
	var jobs []string
	for range 3 {
		jobs = append(jobs, request(tenant, "POST", "/api/v2/jobs/users-exports", "{}").object(t)["id"].(string))
	}
	statuses := func() (all string) {
		for _, id := range jobs {
			all += fmt.Sprint(request(tenant, "GET", "/api/v2/jobs/"+id, "").object(t)["status"], " ")
		}
		return all
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "pending pending completed "},
		{10 * time.Minute, "completed pending completed "},
		{2 * time.Hour, "completed failed completed "},
	} {
		clock.advance(c.after)
		if got := statuses(); got != c.want {
			t.Errorf("%s later: %s, want %s", c.after, got, c.want)
		}
	}
}

func TestASingleChangeIsLateInTheSearch(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(nil)
	tenant.Fault(auth0.Fault{Endpoint: "POST /api/v2/users", Count: 1, Do: auth0.SearchLate(30 * time.Second)})
	for n := range 2 {
		request(tenant, "POST", "/api/v2/users", userBody(n)).want(t, 201, "")
	}
	found := func() int { return len(request(tenant, "GET", "/api/v2/users", "").list(t)) }
	if n := found(); n != 1 {
		t.Errorf("%d users in the search at once, want the second one only", n)
	}
	clock.advance(30 * time.Second)
	if n := found(); n != 2 {
		t.Errorf("%d users in the search after 30 s, want both", n)
	}
}

func TestEveryEffectIsMetByTheSeedsShare(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	tenant.Fault(auth0.Fault{Share: 0.5, Seed: 1, Do: auth0.TooManyRequests})
	for range 40 {
		request(tenant, "GET", "/api/v2/roles", "")
	}
	report := tenant.Faults()[0]
	if report.Seen != 40 || report.Met < 10 || report.Met > 30 || report.Met != tenant.Requests().Status(429) {
		t.Errorf("seen %d, met %d, 429 %d times", report.Seen, report.Met, tenant.Requests().Status(429))
	}
}
