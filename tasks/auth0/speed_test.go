package auth0

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// direct hands requests to a tenant in the same process, so that a bubble's time
// is the tenant's too.
type direct struct {
	tenant  *emulator.Tenant
	latency time.Duration
}

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(d.latency / 2)
	w := httptest.NewRecorder()
	req.RequestURI, req.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	d.tenant.ServeHTTP(w, req)
	time.Sleep(d.latency / 2)
	return w.Result(), nil
}

func TestCreateUsesWhatEachPlanAllows(t *testing.T) {
	t.Parallel()
	sizes := []int{500, 5000}
	if os.Getenv("PHASEGATE_SOAK") != "" {
		sizes = append(sizes, 50_000)
	}
	for _, plan := range []emulator.Plan{emulator.Free, emulator.Essentials, emulator.Enterprise, emulator.EnterpriseTest} {
		for _, n := range sizes {
			t.Run(fmt.Sprint(plan, " ", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { createAll(t, plan, n) })
			})
		}
	}
}

// createAll makes n users through the SDK under a plan's limits.
func createAll(t *testing.T, plan emulator.Plan, n int) {
	tenant := emulator.NewTenant(emulator.Config{Plan: plan, Seed: emulator.MedLogistics(), Domain: "tenant.test"})
	id, secret := tenant.ManagementClient()
	api, pace, err := openOver(Access{Domain: "tenant.test", ClientID: id, ClientSecret: redact.NewSecret(secret), Share: 1},
		direct{tenant, 40 * time.Millisecond})
	must(t, err)
	queue := make(chan int, n)
	for i := range n {
		queue <- i
	}
	close(queue)
	began := time.Now()
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range queue {
				err := api.CreateUser(context.Background(), directory, newUser{
					id: fmt.Sprint("x-", i), email: fmt.Sprintf("u%d@example.com", i), metadata: map[string]any{},
				}, temporaryPassword())
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	limit := writeLimit(plan)
	allowed := float64(limit.Burst) + float64(limit.Rate)*took.Seconds()/limit.Per.Seconds()
	_, throttled, _ := pace.used()
	t.Logf("%d users in %s: %.1f%% of the requests that the limit allows, %d refused as too fast", n, took, 100*float64(n)/allowed, throttled)
	if float64(n) < 0.97*allowed {
		t.Errorf("only %.1f%% of the allowed requests were used", 100*float64(n)/allowed)
	}
	if throttled > int64(max(20, n/50)) { // 8 of 500 are usual: workers take turns by chance
		t.Errorf("%d requests were refused as too fast", throttled)
	}
}

// writeLimit is the limit on making users.
func writeLimit(plan emulator.Plan) emulator.Limit {
	limits := plan.Limits()
	if len(limits.Groups) > 0 {
		return limits.Groups[0].Limit
	}
	return limits.Global
}

// BenchmarkImport moves users under the limits of three plans, and reports how
// many of the requests that they allow were used.
func BenchmarkImport(b *testing.B) {
	for _, c := range []struct {
		name  string
		users int
		limit emulator.Limit
	}{
		{"free", 60, emulator.Limit{Burst: 2, Rate: 2, Per: time.Second}},
		{"essentials", 120, emulator.Limit{Burst: 20, Rate: 200, Per: time.Minute}},
		{"enterprise", 500, emulator.Limit{Burst: 50, Rate: 16, Per: time.Second}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				s := newScene(b, users(c.users), emulator.Limits{Global: c.limit})
				i := s.importer()
				i.Batch = 250
				r, err := i.Run(context.Background(), tasktest.Env(b))
				must(b, err)
				allowed := float64(c.limit.Burst) + float64(c.limit.Rate)*r.Took/c.limit.Per.Seconds()
				b.ReportMetric(100*float64(r.Requests-r.Throttled)/allowed, "%-of-limit")
				b.ReportMetric(float64(r.Throttled), "refused")
				b.ReportMetric(float64(r.Created)/r.Took, "users/s")
			}
		})
	}
}

// BenchmarkImportUnlimited shows what the program itself costs.
func BenchmarkImportUnlimited(b *testing.B) {
	for range b.N {
		s := newScene(b, users(10_000))
		i := s.importer()
		i.Batch = 500
		r, err := i.Run(context.Background(), tasktest.Env(b))
		must(b, err)
		b.ReportMetric(float64(r.Created)/r.Took, "users/s")
	}
}

// TestVerificationOfAMillionFitsIntoAMinuteOfTwoCores counts the processor's time
// of both sides, the tenant in this process included: on a machine that is busy
// with other things the clock says little.
func TestVerificationOfAMillionFitsIntoAMinuteOfTwoCores(t *testing.T) { //nolint:paralleltest // it measures the process
	n := 20_000
	if os.Getenv("PHASEGATE_SOAK") != "" {
		n = 1_000_000
	}
	s := newScene(t, medlogistics.Population{Users: n})
	s.seedMoved()
	before := processorTime(t)
	r, err := s.verifier().Run(context.Background(), tasktest.Env(t))
	must(t, err)
	took := (processorTime(t) - before) * time.Duration(1_000_000/n)
	t.Logf("%d users in %.1f s; %s of processor for a million", n, r.Took, took.Round(time.Second))
	if took > burden*2*time.Minute || r.Accounts != int64(n) {
		t.Errorf("a million users take %s of processor, and there are %d accounts", took, r.Accounts)
	}
}

// processorTime returns what this process has used so far.
func processorTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// seedMoved puts every user's account into the tenant, as an import leaves them.
func (s *scene) seedMoved() {
	s.t.Helper()
	s.exec("update users set auth0_user_id = 'auth0|ml-' || id")
	people, err := s.db.Query(context.Background(), "select id::text, lower(email), role::text from users")
	must(s.t, err)
	for people.Next() {
		var r row
		must(s.t, people.Scan(&r.id, &r.email, &r.role))
		must(s.t, s.tenant.PutUser(emulator.User{ID: "auth0|ml-" + r.id, Email: r.email, AppMetadata: mark(r), Roles: []string{r.role}}))
	}
	must(s.t, people.Err())
}

// BenchmarkVerify compares a table with a tenant that it was moved into.
func BenchmarkVerify(b *testing.B) {
	const rows = 100_000
	s := newScene(b, medlogistics.Population{Users: rows})
	s.seedMoved()
	b.ResetTimer()
	for range b.N {
		v := s.verifier()
		r, err := v.Run(context.Background(), tasktest.Env(b))
		must(b, err)
		b.ReportMetric(float64(r.Accounts)/r.Took, "accounts/s")
	}
}
