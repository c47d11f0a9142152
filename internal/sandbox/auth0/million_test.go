package auth0_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// userBody is a user as a migration creates one.
func userBody(n int) string {
	return fmt.Sprintf(`{"connection":%q,"user_id":"ml-%d","email":"person.%d@hospital.example.com","password":"Xk7.pQ2-vT9_w%d",`+
		`"email_verified":true,"verify_email":false,"app_metadata":{"role":"nurse","local_id":"%d"}}`, connection, n, n, n, n)
}

// create makes users by the handler, without a network.
func create(tb testing.TB, tenant *auth0.Tenant, from, to int) {
	tb.Helper()
	token := "Bearer " + tenant.Token("create:users")
	for n := from; n < to; n++ {
		request := httptest.NewRequest(http.MethodPost, "/api/v2/users", strings.NewReader(userBody(n)))
		request.Header.Set("Authorization", token)
		answer := httptest.NewRecorder()
		tenant.ServeHTTP(answer, request)
		if answer.Code != http.StatusCreated {
			tb.Fatalf("user %d: %d %s", n, answer.Code, answer.Body)
		}
	}
}

func BenchmarkCreateUser(b *testing.B) {
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Seed: auth0.MedLogistics()})
	b.ReportAllocs()
	b.ResetTimer()
	create(b, tenant, 0, b.N)
}

func BenchmarkReadUser(b *testing.B) {
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Seed: auth0.MedLogistics()})
	create(b, tenant, 0, 10_000)
	token := "Bearer " + tenant.Token("read:users")
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		request := httptest.NewRequest(http.MethodGet, fmt.Sprintf("/api/v2/users/auth0%%7Cml-%d", n%10_000), nil)
		request.Header.Set("Authorization", token)
		tenant.ServeHTTP(httptest.NewRecorder(), request)
	}
}

func TestAMillionUsersFitIntoMemory(t *testing.T) {
	users := 20_000
	if os.Getenv("PHASEGATE_SOAK") != "" {
		users = 1_000_000
	}
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Seed: auth0.MedLogistics()})
	before := heap()
	create(t, tenant, 0, users)
	each := (heap() - before) / uint64(users)
	t.Logf("%d users take %d bytes each", users, each)
	if each > 1500 {
		t.Errorf("a user takes %d bytes, want at most 1,500", each)
	}
	if got := tenant.CountUsers(); got != users {
		t.Errorf("the tenant holds %d users, want %d", got, users)
	}
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func BenchmarkExport(b *testing.B) {
	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Unlimited, Domain: "medlog.test", Seed: auth0.MedLogistics()})
	const users = 20_000
	create(b, tenant, 0, users)
	body := `{"format":"json","fields":[{"name":"user_id"},{"name":"email"},{"name":"blocked"},{"name":"app_metadata.role"}]}`
	b.ResetTimer()
	for range b.N {
		var job struct{ ID, Location string }
		for _, a := range []func() answer{
			func() answer { return request(tenant, "POST", "/api/v2/jobs/users-exports", body) },
			func() answer { return request(tenant, "GET", "/api/v2/jobs/"+job.ID, "") },
		} {
			if err := json.Unmarshal([]byte(a().body), &job); err != nil {
				b.Fatal(err)
			}
		}
		if a := request(tenant, "GET", strings.TrimPrefix(job.Location, "https://medlog.test"), ""); a.status != http.StatusOK {
			b.Fatalf("status %d", a.status)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*users), "ns/user")
}
