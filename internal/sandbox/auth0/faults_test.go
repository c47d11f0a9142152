package auth0_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// over makes a request over the network, so that a connection can break.
func over(t *testing.T, client *http.Client, server *auth0.Server, token, method, path, body string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestALostAnswerLeavesTheAccountAndABrokenRequestDoesNot(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*auth0.Tenant) (*auth0.Server, error){
		"TLS":  func(tenant *auth0.Tenant) (*auth0.Server, error) { return tenant.Start(t.TempDir()) },
		"HTTP": (*auth0.Tenant).StartHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, _ := seeded(nil)
			server, err := start(tenant)
			must(t, err)
			t.Cleanup(func() { must(t, server.Close()) })
			client, token := server.Client(), tenant.Token("create:users")
			for n, c := range []struct {
				effect auth0.Effect
				users  int
			}{{auth0.ResetBefore, 0}, {auth0.ResetAfter, 1}} {
				tenant.Fault(auth0.Fault{Endpoint: "POST /api/v2/users", Count: 1, Do: c.effect})
				if status, err := over(t, client, server, token, "POST", "/api/v2/users", userBody(n)); err == nil {
					t.Errorf("%s: status %d, want a broken connection", c.effect, status)
				}
				if got := tenant.CountUsers(); got != c.users {
					t.Errorf("%s: %d users, want %d", c.effect, got, c.users)
				}
			}
			status, err := over(t, client, server, token, "POST", "/api/v2/users", userBody(1))
			must(t, err)
			if status != http.StatusConflict {
				t.Errorf("the second try gets %d, want 409", status)
			}
		})
	}
}

func TestAnExpiredTokenIsReplacedByTheSDK(t *testing.T) {
	t.Parallel()
	tenant, server, m := medlogistics(t)
	must(t, m.User.Create(t.Context(), someone("a@example.com")))
	tenant.Fault(auth0.Fault{Endpoint: "POST /api/v2/users", Count: 1, Do: auth0.ExpiredToken})
	if err := m.User.Create(t.Context(), someone("b@example.com")); err == nil || !strings.Contains(err.Error(), "Expired token") {
		t.Errorf("error = %v", err)
	}
	if err := m.User.Create(t.Context(), someone("b@example.com")); err == nil {
		t.Error("the token that has expired is taken again")
	}
	must(t, manage(t, tenant, server).User.Create(t.Context(), someone("b@example.com")))
}

func TestAHangHoldsTheRequestUp(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	server := serve(t, tenant)
	tenant.Fault(auth0.Fault{Endpoint: "POST /api/v2/users", Count: 1, Do: auth0.Hang(time.Minute)})
	client := server.Client()
	client.Timeout = 200 * time.Millisecond
	token := tenant.Token("create:users")
	if _, err := over(t, client, server, token, "POST", "/api/v2/users", userBody(1)); err == nil {
		t.Error("the request came back")
	}
	if n := tenant.CountUsers(); n != 0 {
		t.Errorf("%d users of a client that had gone", n)
	}
	tenant.Fault(auth0.Fault{Count: 1, Do: auth0.Hang(50 * time.Millisecond)})
	began := time.Now()
	request(tenant, "POST", "/api/v2/users", userBody(1)).want(t, 201, "")
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestFaultsAreRepeatable(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		tenant, _ := seeded(nil)
		tenant.Fault(auth0.Fault{Endpoint: "GET /api/v2/roles", After: 5, Share: 0.3, Seed: seed, Do: auth0.Status(503)})
		var out strings.Builder
		for range 100 {
			fmt.Fprint(&out, request(tenant, "GET", "/api/v2/roles", "").status, " ")
		}
		return out.String()
	}
	first := run(1)
	if first != run(1) {
		t.Error("the same seed gave other faults")
	}
	if first == run(2) {
		t.Error("another seed gave the same faults")
	}
	if !strings.HasPrefix(first, "200 200 200 200 200 ") {
		t.Errorf("the first five are let through: %s", first)
	}
	if n := strings.Count(first, "503"); n < 15 || n > 45 {
		t.Errorf("%d of 95 failed, want about 30%%", n)
	}
}

func TestA429StormLooksLikeAuth0s(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	tenant.Fault(auth0.Fault{Count: 2, Do: auth0.TooManyRequests})
	a := request(tenant, "GET", "/api/v2/roles", "")
	a.want(t, 429, `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`)
	if a.header.Get("x-ratelimit-remaining") != "0" || a.header.Get("x-ratelimit-reset") == "" {
		t.Errorf("headers = %v", a.header)
	}
	realm(tenant, "a", "b").want(t, 429, `{"error":"access_denied","error_description":"Too Many Requests","error_uri":"https://auth0.com/docs/policies/rate-limits"}`)
	request(tenant, "GET", "/api/v2/roles", "").want(t, 200, "")
	tenant.Fault(auth0.Fault{Do: auth0.Status(503)})
	request(tenant, "GET", "/api/v2/roles", "").want(t, 503, `{"statusCode":503,"error":"Service Unavailable","message":"Service Unavailable"}`)
	tenant.ClearFaults()
	request(tenant, "GET", "/api/v2/roles", "").want(t, 200, "")
	if got := tenant.Requests()["GET /api/v2/roles"]; got[429] != 1 || got[503] != 1 || got[200] != 2 {
		t.Errorf("counts = %v", got)
	}
}

func TestEffectsAreReadFromText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]auth0.Effect{
		"status 503": auth0.Status(503), "hang 1m0s": auth0.Hang(time.Minute), "hang-after 1m0s": auth0.HangAfter(time.Minute), "reset-after": auth0.ResetAfter,
		"job-fails": auth0.JobFails,
	} {
		var effect auth0.Effect
		must(t, effect.UnmarshalText([]byte(text)))
		if effect != want {
			t.Errorf("%s is read as %s", text, effect)
		}
	}
	for _, text := range []string{"", "explode", "status", "status 42", "hang", "hang on"} {
		var effect auth0.Effect
		if err := effect.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for an effect", text)
		}
	}
}
