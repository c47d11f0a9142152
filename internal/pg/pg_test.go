package pg_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

const canary = "canary-7b0e/ä ?&'"

func TestConnectSaysWhatIsWrongAndNeverThePassword(t *testing.T) {
	t.Parallel()
	good := postgrestest.Database(t)
	closedPort := freeAddress(t)
	cases := map[string]struct {
		dsn        string
		want, hint string
	}{
		"wrong password":   {edit(t, good, func(u *url.URL) { u.User = url.UserPassword("postgres", canary) }), "SQLSTATE 28P01", "password"},
		"unknown database": {edit(t, good, func(u *url.URL) { u.Path = "/nowhere" }), `database "nowhere" does not exist`, "database name"},
		"nobody listens": {
			edit(t, good, func(u *url.URL) { u.Host = closedPort; u.User = url.UserPassword("postgres", canary); u.RawQuery = "" }),
			"connection refused", "server runs",
		},
		"unknown host":  {"postgres://app:" + url.QueryEscape(canary) + "@no.such.host.invalid/app", "host not found", "host name"},
		"TLS refused":   {edit(t, good, func(u *url.URL) { setQuery(u, "sslmode", "require"); setQuery(u, "host", "") }), "TLS", "sslmode"},
		"not a DSN":     {"postgres://app:" + canary + "%zz@host/db", "cannot be read", "postgres://user"},
		"missing CA":    {"postgres://app:" + url.QueryEscape(canary) + "@host/db?sslmode=verify-full&sslrootcert=/no/such/ca.pem", "/no/such/ca.pem", "sslrootcert"},
		"keyword style": {"host=" + strings.Split(closedPort, ":")[0] + " port=" + strings.Split(closedPort, ":")[1] + " user=app password='" + `canary-7b0e` + "' dbname=app", "connection refused", "firewall"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := pg.Connect(t.Context(), redact.NewSecret(c.dsn))
			if err == nil {
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if !strings.Contains(task.HintOf(err), c.hint) {
				t.Errorf("hint %q does not say %q", task.HintOf(err), c.hint)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "canary") {
					t.Errorf("the password is in %q", e)
				}
			}
		})
	}
}

func TestConnectToReachesAnotherDatabaseOfTheServer(t *testing.T) {
	t.Parallel()
	conn, err := pg.ConnectTo(t.Context(), postgrestest.Database(t), pg.Maintenance)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var database, application string
	err = conn.QueryRow(t.Context(), "select current_database(), current_setting('application_name')").Scan(&database, &application)
	if err != nil || database != "postgres" || application != "phasegate" {
		t.Errorf("connected to %s as %s, %v", database, application, err)
	}
}

func TestConnectObeysTheContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("stopped by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := pg.Connect(ctx, postgrestest.Database(t)); !errors.Is(err, cause) {
		t.Errorf("error %v does not wrap the cause", err)
	}
}

func TestEnvKeepsWhatTheConnectionStringSays(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		dsn  string
		want []string
		not  []string
	}{
		"no sslmode stays the default, prefer": {
			"postgres://app:secret@db.example/app",
			[]string{"PGHOST=db.example", "PGPORT=5432", "PGUSER=app", "PGPASSWORD=secret", "PGDATABASE=app"},
			[]string{"PGSSLMODE=", "PGSSLROOTCERT="},
		},
		"a Unix socket": {"postgres:///app?host=/run/postgresql&port=5433&user=app", []string{"PGHOST=/run/postgresql", "PGPORT=5433"}, nil},
		"several hosts": {
			"postgres://app@one.example:1,two.example:2/app?target_session_attrs=primary",
			[]string{"PGHOST=one.example,two.example", "PGPORT=1,2", "PGTARGETSESSIONATTRS=primary"},
			nil,
		},
		"prefer":     {"postgres://app@db.example/app?sslmode=prefer", []string{"PGSSLMODE=prefer", "PGHOST=db.example"}, nil},
		"disable":    {"postgres://app@db.example/app?sslmode=disable", []string{"PGSSLMODE=disable"}, nil},
		"keywords":   {`host=db.example user=app password='it''s' dbname=app sslmode = require`, nil, nil},
		"quoted":     {`host=db.example user=app password='a \'b\\' dbname='my app' sslmode = 'require'`, []string{`PGPASSWORD=a 'b\`, "PGDATABASE=my app", "PGSSLMODE=require"}, nil},
		"options":    {"postgres://app@db.example/app?options=-c%20role%3Downer&timezone=UTC", []string{"PGOPTIONS=-c role=owner -c bytea_output=hex -c default_transaction_read_only=off"}, []string{"TIMEZONE"}},
		"connect to": {"postgres://app@db.example/app?connect_timeout=7", []string{"PGCONNECT_TIMEOUT=7"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			env, err := pg.Env(redact.NewSecret(c.dsn))
			if c.want == nil && c.not == nil {
				if err == nil {
					t.Error("a malformed string was read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !slices.Contains(env, want) {
					t.Errorf("%q lacks %s", env, want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(strings.Join(env, "\n"), not) {
					t.Errorf("%q has %s", env, not)
				}
			}
		})
	}
}

func TestEnvKeepsTheCertificates(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca with space+plus.pem")
	if err := os.WriteFile(ca, []byte(testCA), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{
		"postgres://app@db.example/app?sslmode=verify-ca&sslrootcert=" + url.PathEscape(ca),
		"host=db.example user=app dbname=app sslmode=verify-ca sslrootcert='" + ca + "'",
	} {
		env, err := pg.Env(redact.NewSecret(dsn))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(env, "PGSSLROOTCERT="+ca) || !slices.Contains(env, "PGSSLMODE=verify-ca") {
			t.Errorf("%q has lost the certificate", env)
		}
	}
}

func TestEnvLetsTheServersProgramsIn(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	psql, err := pg.Tool("psql")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.Command{Argv: []string{psql, "-XAtc", "select current_database(), current_setting('TimeZone'), current_setting('bytea_output')"}, Env: env}.
		Output(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := pg.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Database + "|UTC|hex"; strings.TrimSpace(out) != want {
		t.Errorf("psql says %q, want %q", out, want)
	}
}

// A service that the operator's environment names is for libpq stronger than any
// variable: psql would reach another database than our own sessions.
func TestEnvLeadsPastTheEnvironmentsService(t *testing.T) {
	dsn := postgrestest.Database(t)
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte("[elsewhere]\nhost=/nowhere\ndbname=other\nsslmode=require\nconnect_timeout=7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", services)
	t.Setenv("PGSERVICE", "elsewhere")
	t.Setenv("PGHOSTADDR", "192.0.2.1")
	psql, err := pg.Tool("psql")
	if err != nil {
		t.Fatal(err)
	}
	direct := redact.NewSecret(edit(t, dsn, func(u *url.URL) { setQuery(u, "sslmode", "disable") }))
	env, err := pg.Env(direct)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pg.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.Command{Argv: []string{psql, "-XAtc", "select current_database()"}, Env: env}.Output(t.Context())
	if err != nil || strings.TrimSpace(out) != config.Database {
		t.Errorf("psql is in %q, not in %q, %v", out, config.Database, err)
	}
	// What only the service says holds for the programs too, as it does for the driver.
	if !slices.Contains(env, "PGSSLMODE=disable") || !slices.Contains(env, "PGCONNECT_TIMEOUT=7") {
		t.Errorf("the environment is %q", env)
	}
	for _, dsn := range []string{"postgres:///?service=elsewhere&servicefile=" + url.PathEscape(services), "user=app service=elsewhere"} {
		env, err := pg.Env(redact.NewSecret(dsn))
		if err != nil || !slices.Contains(env, "PGSSLMODE=require") || !slices.Contains(env, "PGHOST=/nowhere") || !slices.Contains(env, "PGDATABASE=other") {
			t.Errorf("%s: %q, %v", dsn, env, err)
		}
	}
}

func TestToolSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := pg.Tool("pg_no_such_program")
	if err == nil || !strings.Contains(task.HintOf(err), "install PostgreSQL") {
		t.Errorf("error %v, hint %q", err, task.HintOf(err))
	}
}

func edit(t *testing.T, dsn redact.Secret, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func setQuery(u *url.URL, key, value string) {
	q := u.Query()
	q.Del(key)
	if value != "" {
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
}

// freeAddress returns a loopback address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func connect(t *testing.T, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pg.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func runSQL(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// testCA is a self-signed certificate whose key was thrown away.
const testCA = `-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIUQEH6FPKKIMdU8biLnAQtjqq5a+kwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTIyMjIyMTM3WhgPMjEyNjEwMjkyMjIxMzda
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJRiY4YkE
dSi/3LWGQ2mgl8I1FOr9fmYA9M5zLcV1ZXKIK42eMqPfl2FGGm63iT7PWnEsUn5J
jbipiQ49W1HTIaNTMFEwHQYDVR0OBBYEFBGJUlqlPRM2kA1BgqiW+rXEHEd3MB8G
A1UdIwQYMBaAFBGJUlqlPRM2kA1BgqiW+rXEHEd3MA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSQAwRgIhAJrOWXPPO6FkP2yJFRRvb1HXlqJ8Tpn0fz794+KM
9rzHAiEAwu2/4Xu8IxZbIDnKaDHzfL/F1Wp4x1Tk+AhGdSjTEMA=
-----END CERTIFICATE-----`

// asRole returns dsn for another role.
func asRole(t *testing.T, dsn redact.Secret, role, password string) string {
	t.Helper()
	return edit(t, dsn, func(u *url.URL) { u.User = url.UserPassword(role, password) })
}
