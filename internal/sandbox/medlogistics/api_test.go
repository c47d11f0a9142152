package medlogistics

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/schema"
)

// api is a running API with what it runs against.
type api struct {
	url    string
	tenant *tenant
	conn   *pgx.Conn
	dsn    redact.Secret
	people Population
	stop   func() error
}

func startAPI(t *testing.T) *api {
	t.Helper()
	return startAPIThatGivesNotice(t, 0)
}

func startAPIThatGivesNotice(t *testing.T, looks int) *api {
	t.Helper()
	a := &api{tenant: newTenant(t), people: Population{Users: 60}}
	a.conn, a.dsn = seeded(t, a.people)
	address := freeAddress(t)
	a.url = "http://" + address
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- API{
			Listen: address, DatabaseURL: a.dsn, Domain: a.tenant.domain(), Audience: audience,
			CAFile: a.tenant.caFile(t), Log: slog.New(slog.DiscardHandler), Notice: looks,
		}.Serve(ctx)
	}()
	a.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { _ = a.stop() })
	a.await(t, "/health", 200)
	return a
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// call makes a request with one header and returns status and body.
func (a *api) call(t *testing.T, method, path, header, value, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		request.Header.Set(header, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

func (a *api) await(t *testing.T, path string, want int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		status, body := a.call(t, "GET", path, "", "", "")
		if status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s answers %d %s, want %d", path, status, body, want)
		}
	}
}

func (a *api) expect(t *testing.T, method, path, header, value, body string, status int, contains string) string {
	t.Helper()
	got, text := a.call(t, method, path, header, value, body)
	if got != status || !strings.Contains(text, contains) {
		t.Errorf("%s %s with %s: %d %s, want %d with %s", method, path, header, got, text, status, contains)
	}
	return text
}

// cutOver applies the schema and gives user 1, a nurse, the Auth0 id auth0|1.
func (a *api) cutOver(t *testing.T) {
	t.Helper()
	migration, err := schema.FS.ReadFile("20261101000000_auth0.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{string(migration), "update users set auth0_user_id = 'auth0|1' where id = '" + a.people.User(1).ID + "'"} {
		if _, err := a.conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeysAreTakenBeforeAndAfterTheCutOverAndTokensAfter(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	nurse := a.people.User(1)
	token := "Bearer " + a.tenant.token(t, nil)
	a.expect(t, "GET", "/api/me", "X-API-Key", nurse.APIKey, "", 200, nurse.ID)
	a.expect(t, "GET", "/api/me", "Authorization", token, "", 401, "Tokens are not accepted yet")
	a.cutOver(t)
	a.expect(t, "GET", "/api/me", "X-API-Key", nurse.APIKey, "", 200, nurse.ID)
	a.expect(t, "GET", "/api/me", "Authorization", token, "", 200, nurse.ID)
	if n := a.tenant.fetches.Load(); n != 1 {
		t.Errorf("the tenant's keys were fetched %d times", n)
	}
}

func TestOnlyTokensAreTakenWhereThereAreNoKeys(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.cutOver(t)
	removal, err := schema.FS.ReadFile("20270201000000_drop_api_keys.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.conn.Exec(t.Context(), string(removal)); err != nil {
		t.Fatal(err)
	}
	a.expect(t, "GET", "/api/me", "X-API-Key", a.people.User(1).APIKey, "", 401, "not accepted any more")
	a.expect(t, "GET", "/api/me", "Authorization", "Bearer "+a.tenant.token(t, nil), "", 200, a.people.User(1).ID)
	if status, text := a.call(t, "GET", "/health", "", "", ""); status != 200 {
		t.Errorf("health: %d %s", status, text)
	}
}

func TestOnlyAGoodTokenIsTaken(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.cutOver(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"expired":           a.tenant.token(t, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"without an expiry": a.tenant.token(t, map[string]any{"exp": nil}),
		"of another issuer": a.tenant.token(t, map[string]any{"iss": "https://elsewhere.example/"}),
		"for another API":   a.tenant.token(t, map[string]any{"aud": "https://elsewhere.example"}),
		"without an API":    a.tenant.token(t, map[string]any{"aud": nil}),
		"of nobody":         a.tenant.token(t, map[string]any{"sub": nil}),
		"of another user":   a.tenant.token(t, map[string]any{"sub": "auth0|2"}),
		"of another key":    sign(t, jose.RS256, stranger, "k1", a.tenant.claims(nil)),
		"of an unknown key": sign(t, jose.RS256, a.tenant.key, "k2", a.tenant.claims(nil)),
		"of a shared key":   sign(t, jose.HS256, a.tenant.key.N.Bytes(), "k1", a.tenant.claims(nil)),
		"of no form":        "abc",
	} {
		a.expect(t, "GET", "/api/me", "Authorization", "Bearer "+token, "", 401, `"detail"`)
		if t.Failed() {
			t.Fatalf("a token %s was taken", name)
		}
	}
	a.expect(t, "GET", "/api/me", "Authorization", "Bearer "+a.tenant.token(t, nil), "", 200, "jwt")
	if n := a.tenant.fetches.Load(); n > 2 {
		t.Errorf("bad tokens had the tenant's keys fetched %d times", n)
	}
}

func TestRightsFollowTheRole(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.cutOver(t)
	doctor, nurse, inactive := a.people.User(0), a.people.User(1), a.people.User(39)
	orders := a.expect(t, "GET", "/api/orders", "X-API-Key", doctor.APIKey, "", 200, "patient_name")
	var list []order
	if err := json.Unmarshal([]byte(orders), &list); err != nil || len(list) == 0 {
		t.Fatalf("orders: %v", err)
	}
	administer := `{"order_id": "` + list[0].ID + `"}`
	for _, c := range []struct {
		header, value, body string
		status              int
		contains            string
	}{
		{"X-API-Key", nurse.APIKey, administer, 201, `"id"`},
		{"X-API-Key", doctor.APIKey, administer, 403, "Only nurses"},
		{"X-API-Key", inactive.APIKey, administer, 403, "Inactive"},
		{"X-API-Key", "wrong", administer, 401, "Invalid API key"},
		{"", "", administer, 401, "Not authenticated"},
		{"X-API-Key", nurse.APIKey, `{"order_id": "` + nurse.ID + `"}`, 422, "no such order"},
		{"X-API-Key", nurse.APIKey, `{"order_id": "x"}`, 422, "no such order"},
		{"X-API-Key", nurse.APIKey, `x`, 422, "order_id"},
		{"Authorization", "Bearer " + a.tenant.token(t, nil), administer, 201, `"id"`},
		{"Authorization", "Bearer " + a.tenant.token(t, map[string]any{rolesClaim: []string{"doctor"}}), administer, 403, "Only nurses"},
		{"Authorization", "Bearer " + a.tenant.token(t, map[string]any{rolesClaim: nil}), administer, 403, "Only nurses"},
	} {
		a.expect(t, "POST", "/api/administrations", c.header, c.value, c.body, c.status, c.contains)
	}
	if got := value(t, a.conn, "select count(*)::text from medication_administrations"); got != "122" {
		t.Errorf("%s administrations; 120 were there and two more were answered with 201", got)
	}
	a.expect(t, "GET", "/api/drugs", "X-API-Key", nurse.APIKey, "", 200, "current_stock")
	a.expect(t, "GET", "/docs", "", "", "", 200, "MedLogistics API")
	a.expect(t, "GET", "/nowhere", "", "", "", 404, "")
}

func TestTheAPIIsHealthyOnlyWhileItsDatabaseIsThere(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	name := a.conn.Config().Database
	admin := connect(t, redact.NewSecret(strings.Replace(a.dsn.Reveal(), "/"+name+"?", "/postgres?", 1)))
	key := a.people.User(1).APIKey
	a.expect(t, "GET", "/api/me", "X-API-Key", key, "", 200, "")
	if got := value(t, admin, "select count(*)::text from pg_stat_activity where application_name = '"+applicationName+"' and datname = '"+name+"'"); got == "0" {
		t.Error("no session has the API's name")
	}
	set := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	terminate := "select pg_terminate_backend(pid) from pg_stat_activity where datname = '" + name + "'"
	set(terminate)
	a.expect(t, "GET", "/api/me", "X-API-Key", key, "", 200, "")
	set("alter database " + name + " allow_connections false")
	set(terminate)
	a.await(t, "/health", 503)
	a.expect(t, "GET", "/api/me", "X-API-Key", key, "", 503, "Service unavailable")
	set("alter database " + name + " allow_connections true")
	a.await(t, "/health", 200)
	a.expect(t, "GET", "/api/me", "X-API-Key", key, "", 200, "")
}

func TestMetricsCountWhatTheAlertsWatch(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	for range 3 {
		a.expect(t, "GET", "/api/me", "X-API-Key", a.people.User(1).APIKey, "", 200, "")
	}
	a.expect(t, "GET", "/api/me", "X-API-Key", "wrong", "", 401, "")
	text := a.expect(t, "GET", "/metrics", "", "", "", 200, "")
	for _, line := range []string{
		`medlogistics_http_requests_total{route="GET /api/me",status="200"} 3`,
		`medlogistics_http_requests_total{route="GET /api/me",status="401"} 1`,
		`medlogistics_auth_attempts_total{method="api_key",result="ok"} 3`,
		`medlogistics_auth_attempts_total{method="api_key",result="failed"} 1`,
		`medlogistics_http_request_duration_seconds_bucket{le="+Inf"}`,
		`medlogistics_db_connections{state="idle"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
}

func TestAStopFinishesWhatWasBegunAndClosesTheSessions(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	// The request waits for this lock, and the stop for the request.
	tx, err := a.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "lock table drugs"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		status, _ := a.call(t, "GET", "/api/drugs", "X-API-Key", a.people.User(1).APIKey, "")
		answered <- status
	}()
	watcher := connect(t, a.dsn)
	sessions := func(where string) string {
		return value(t, watcher, "select count(*)::text from pg_stat_activity where application_name = '"+applicationName+
			"' and datname = current_database() "+where)
	}
	eventually(t, "the request waits for the lock", func() bool { return sessions("and wait_event_type = 'Lock'") == "1" })
	stopped := make(chan error, 1)
	go func() { stopped <- a.stop() }()
	eventually(t, "no new request is taken", func() bool {
		status, _ := a.call(t, "GET", "/docs", "", "", "")
		return status == 0
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != 200 {
		t.Errorf("the request in progress got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the stop: %v", err)
	}
	eventually(t, "its sessions are closed", func() bool { return sessions("") == "0" })
}

func TestAnAPIAnswersUntilItsHealthHasToldThatItStops(t *testing.T) {
	t.Parallel()
	a := startAPIThatGivesNotice(t, 3)
	stopped := make(chan error, 1)
	go func() { stopped <- a.stop() }()
	a.await(t, "/health", http.StatusServiceUnavailable) // the first look
	a.expect(t, "GET", "/api/me", "X-API-Key", a.people.User(1).APIKey, "", http.StatusOK, "")
	a.expect(t, "GET", "/health", "", "", "", http.StatusServiceUnavailable, "stopping")
	a.expect(t, "GET", "/api/me", "X-API-Key", a.people.User(1).APIKey, "", http.StatusOK, "")
	began := time.Now()
	a.expect(t, "GET", "/health", "", "", "", http.StatusServiceUnavailable, "stopping")
	if err := <-stopped; err != nil {
		t.Errorf("the stop: %v", err)
	}
	if took := time.Since(began); took >= noticeTimeout {
		t.Errorf("it waited for more looks: %s", took)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after ten seconds, not yet: %s", what)
		}
	}
}

func TestSettingsTravelThroughTheEnvironment(t *testing.T) {
	t.Parallel()
	want := API{
		Listen: "127.0.0.1:1", DatabaseURL: redact.NewSecret("postgres://u:p@h/d"), Domain: "t.example", Audience: audience,
		CAFile: "/ca.pem", Owner: "/lock", Notice: 3,
	}
	env := map[string]string{}
	for _, variable := range want.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	got, err := APIFromEnv(lookup)
	got.Log = nil
	if err != nil || got != want {
		t.Errorf("%v: %+v", err, got)
	}
	env[noticeVariable] = "-1"
	if _, err := APIFromEnv(lookup); err == nil || !strings.Contains(err.Error(), noticeVariable) {
		t.Errorf("with less than no notice: %v", err)
	}
	env[noticeVariable] = ""
	delete(env, databaseVariable)
	if _, err := APIFromEnv(lookup); err == nil || !strings.Contains(err.Error(), databaseVariable) {
		t.Errorf("without a database: %v", err)
	}
}

func TestAnAPIThatCannotServeSaysWhyWithoutThePassword(t *testing.T) {
	t.Parallel()
	good := API{
		Listen: "127.0.0.1:0", DatabaseURL: redact.NewSecret("postgres://u:hunter22@h/d"), Domain: "t.example",
		Log: slog.New(slog.DiscardHandler),
	}
	for want, change := range map[string]func(*API){
		"database URL": func(a *API) { a.DatabaseURL = redact.NewSecret("postgres://u:hunter22@h:x/d") },
		"certificate":  func(a *API) { a.CAFile = "/nowhere" },
		"unknown port": func(a *API) { a.Listen = "127.0.0.1:bad" },
	} {
		broken := good
		change(&broken)
		err := broken.Serve(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
