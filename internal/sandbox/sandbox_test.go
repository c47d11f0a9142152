package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/schema"
)

// ownerVariable makes this test binary the owner of a sandbox below the
// directory that it names: it prints a line when it is started, and waits.
const ownerVariable = "PHASEGATE_TEST_SANDBOX_OWNER"

func TestMain(m *testing.M) {
	switch dir := os.Getenv(ownerVariable); {
	case len(os.Args) > 1 && os.Args[1] == "sandbox-api":
		os.Exit(serveAPI())
	case dir != "":
		own(dir)
	default:
		os.Exit(m.Run())
	}
}

// serveAPI is what the hidden subcommand does.
func serveAPI() int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	api, err := medlogistics.APIFromEnv(os.LookupEnv)
	if err == nil {
		err = api.Serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func own(dir string) {
	_ = os.Unsetenv(ownerVariable) // the API is this program too
	s, err := Start(context.Background(), Options{Users: 10, Self: os.Args[0], Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.env["API_URL"])
	select {}
}

// base is a directory for sandboxes, short enough for a socket.
func base(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "box-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, o Options) *Sandbox {
	t.Helper()
	o.Self, o.Log = os.Args[0], slog.New(slog.DiscardHandler)
	if o.Dir == "" {
		o.Dir = base(t)
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func connect(t *testing.T, s *Sandbox) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DatabaseURL().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// ask makes a request and returns status and body.
func ask(t *testing.T, client *http.Client, method, url, header, value string, body any) (int, string) {
	t.Helper()
	var encoded bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&encoded).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, &encoded)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(header, value)
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestASandboxIsMedLogisticsBeforeTheCutOver(t *testing.T) {
	began := time.Now()
	s := start(t, Options{Users: 50})
	t.Logf("ready in %v", time.Since(began))
	for _, name := range []string{
		"APP_ENV", "APP_VERSION", "DATABASE_URL", "API_URL", "API_SERVICE", "BACKUP_DIR", "AUTH0_DOMAIN", "AUTH0_API_AUDIENCE",
		"AUTH0_MANAGEMENT_CLIENT_ID", "AUTH0_MANAGEMENT_CLIENT_SECRET", "AUTH0_CA_FILE", "AUTH0_SETUP_CLIENT_ID", "AUTH0_SETUP_CLIENT_SECRET", "VITE_AUTH0_CLIENT_ID",
	} {
		if s.Env()[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	status, body := ask(t, http.DefaultClient, "GET", s.Env()["API_URL"]+"/api/me", "X-API-Key", s.people.User(3).APIKey, nil)
	if status != 200 || !strings.Contains(body, s.people.User(3).ID) {
		t.Errorf("the API answers %d %s", status, body)
	}
	var super, owns bool
	err := connect(t, s).QueryRow(t.Context(), `
		select rolsuper, datdba = r.oid from pg_roles r, pg_database
		 where rolname = current_user and datname = current_database()`).Scan(&super, &owns)
	if err != nil || super || !owns {
		t.Errorf("the plan's role: superuser %v, owner %v, %v", super, owns, err)
	}
	if s.Accounts() != 0 || s.LoseAccount() {
		t.Error("the tenant has accounts already")
	}
}

func TestEveryMigratableUserIsTakenByTheTenantAndLogsInToTheAPI(t *testing.T) {
	s := start(t, Options{Users: 100, Unmigratable: true, Plan: auth0.Unlimited})
	conn := connect(t, s)
	migration, err := schema.FS.ReadFile("20261101000000_auth0.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(migration)); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), "select id::text from users where "+s.Env()["USERS_WHERE"])
	if err != nil {
		t.Fatal(err)
	}
	moving, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(moving) != s.people.Users-s.people.Refused() {
		t.Fatalf("%d users move, %v", len(moving), err)
	}
	token := "Bearer " + s.tenant.Token("create:users")
	for i := range s.people.Users {
		u := s.people.User(i)
		user := map[string]any{
			"connection": "Username-Password-Authentication", "user_id": u.ID, "email": u.Email, "password": "A long enough pass-phrase 1",
		}
		if u.FullName != "" {
			user["name"] = u.FullName
		}
		status, body := ask(t, s.server.Client(), "POST", s.server.URL+"/api/v2/users", "Authorization", token, user)
		if want := map[bool]int{true: 201}[i < len(moving)]; want != 0 && status != want || want == 0 && status == 201 {
			t.Errorf("user %d: %d %s", i, status, body)
		}
	}
	nurse := s.people.User(1)
	if err := s.tenant.SetRoles("auth0|"+nurse.ID, "nurse"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "update users set auth0_user_id = 'auth0|' || id where id = $1", nurse.ID); err != nil {
		t.Fatal(err)
	}
	status, body := ask(t, http.DefaultClient, "GET", s.Env()["API_URL"]+"/api/me", "Authorization", "Bearer "+login(t, s, nurse.Email), nil)
	if status != 200 || !strings.Contains(body, `"roles":["nurse"]`) {
		t.Errorf("the API answers the tenant's token with %d %s", status, body)
	}
	if before := s.Accounts(); !s.LoseAccount() || s.Accounts() != before-1 {
		t.Error("no account was lost")
	}
}

// login returns the access token of a password-realm login.
func login(t *testing.T, s *Sandbox, email string) string {
	t.Helper()
	id, secret, ok := s.tenant.Client("MedLogistics Sample Login")
	if !ok {
		t.Fatal("the tenant has no client to log in with")
	}
	response, err := s.server.Client().PostForm(s.server.URL+"/oauth/token", url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "realm": {"Username-Password-Authentication"},
		"client_id": {id}, "client_secret": {secret}, "audience": {audience},
		"username": {email}, "password": {"A long enough pass-phrase 1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	token, _ := answer["access_token"].(string)
	if token == "" {
		t.Fatalf("the login gets %v", answer)
	}
	return token
}

func TestCloseLeavesNothingRunningOrLyingAbout(t *testing.T) {
	dir := base(t)
	s := start(t, Options{Users: 10, Dir: dir})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	expectNothing(t, dir, s.env["API_URL"])
}

func TestASandboxWhoseOwnerIsKilledIsGoneSoon(t *testing.T) {
	dir := base(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	owner, err := command.Command{Argv: []string{os.Args[0]}, Env: []string{ownerVariable + "=" + dir}, Stdout: write}.Start()
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Signal(syscall.SIGKILL)
	var api string
	if _, err := fmt.Fscanln(read, &api); err != nil {
		t.Fatalf("the owner: %v, %v", err, owner.Wait())
	}
	if status, _ := ask(t, http.DefaultClient, "GET", api+"/health", "Accept", "*/*", nil); status != 200 {
		t.Fatalf("the API answers %d", status)
	}
	if err := owner.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expectNothing(t, dir, api)
}

// expectNothing waits until nothing works in dir, nothing but the template of
// clusters is in it, and the API does not answer.
func expectNothing(t *testing.T, dir, api string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = nil
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, file := range files {
			if !strings.Contains(file, "phasegate-pgtemplate-") {
				left = append(left, file)
			}
		}
		links, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, link := range links {
			if cwd, _ := os.Readlink(link); strings.HasPrefix(cwd, dir) {
				left = append(left, link)
			}
		}
		if status, _ := ask(t, http.DefaultClient, "GET", api+"/docs", "Accept", "*/*", nil); status != 0 {
			left = append(left, "the API")
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("left: %v", left)
}

func TestASandboxThatCannotStartLeavesNothing(t *testing.T) {
	dir := base(t)
	_, err := Start(t.Context(), Options{Users: 10, Self: "/nowhere/phasegate", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "start the API") {
		t.Errorf("the error is %v", err)
	}
	expectNothing(t, dir, "http://127.0.0.1:1")
}
