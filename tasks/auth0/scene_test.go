package auth0

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/schema"
)

// directory is the database connection of MedLogistics' tenant.
const directory = "Username-Password-Authentication"

// A scene is what the tasks work on: MedLogistics' database with the columns of
// the cut-over, and its tenant, served over TLS.
type scene struct {
	t      testing.TB
	dsn    redact.Secret
	db     *pgx.Conn
	tenant *emulator.Tenant
	server *emulator.Server
}

// newScene makes a scene. The tenant has no rate limits unless it is given some.
func newScene(t testing.TB, population medlogistics.Population, limits ...emulator.Limits) *scene {
	t.Helper()
	config := emulator.Config{Plan: emulator.Unlimited}
	if len(limits) > 0 {
		config.Limits = &limits[0]
	}
	return sceneOf(t, population, config)
}

// sceneOf makes a scene with a tenant as the configuration says.
func sceneOf(t testing.TB, population medlogistics.Population, config emulator.Config) *scene {
	t.Helper()
	s := &scene{t: t, dsn: postgrestest.Database(t)}
	must(t, population.Seed(context.Background(), s.dsn))
	conn, err := pgx.Connect(context.Background(), s.dsn.Reveal())
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	s.db = conn
	cutOver, err := schema.FS.ReadFile("20261101000000_auth0.sql")
	must(t, err)
	s.exec(string(cutOver))
	config.Seed = emulator.MedLogistics()
	s.tenant = emulator.NewTenant(config)
	s.server, err = s.tenant.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.server.Close()) })
	return s
}

func users(n int) medlogistics.Population { return medlogistics.Population{Users: n} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *scene) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.db.Exec(context.Background(), sql, args...)
	must(s.t, err)
}

func (s *scene) number(sql string, args ...any) (n int) {
	s.t.Helper()
	must(s.t, s.db.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func (s *scene) text(sql string, args ...any) (text string) {
	s.t.Helper()
	must(s.t, s.db.QueryRow(context.Background(), sql, args...).Scan(&text))
	return text
}

func mapping() Users {
	return Users{
		Table: "users", ID: "id", Email: "email", Auth0ID: "auth0_user_id", Role: "role",
		Name: "full_name", IDPrefix: "ml-",
	}
}

func roleMap() map[string]string {
	return map[string]string{"doctor": "doctor", "nurse": "nurse", "pharmacist": "pharmacist"}
}

// access returns how the scene's tenant is reached.
func (s *scene) access() Access {
	id, secret := s.tenant.ManagementClient()
	return Access{
		Domain: s.server.Domain, ClientID: id, ClientSecret: redact.NewSecret(secret), CAFile: s.server.CAFile, Share: 1,
	}
}

func (s *scene) mapping() Mapping {
	return Mapping{DSN: s.dsn, Connection: directory, Users: mapping(), Roles: roleMap()}
}

// importer returns the task as a plan would set it up.
func (s *scene) importer() *ImportUsers {
	return &ImportUsers{
		Access: s.access(), Mapping: s.mapping(),
		Method: Create, Workers: 8, Batch: 50, Patience: time.Minute, JobTimeout: time.Hour,
	}
}

// listing is patient, as a plan's is.
func listing() Listing { return Listing{JobTimeout: time.Hour} }

func (s *scene) verifier() *VerifyUsers {
	return &VerifyUsers{Access: s.access(), Mapping: s.mapping(), Listing: listing()}
}

// move runs the importer, which must succeed.
func (s *scene) move(env *task.Env) Imported {
	s.t.Helper()
	receipt, err := s.importer().Run(s.t.Context(), env)
	if _, skipped := errors.AsType[*task.SkipError](err); err != nil && !skipped {
		s.t.Fatalf("import: %v", err)
	}
	return receipt
}

// exactlyOnce fails the test unless every user but the given number has exactly
// one account, with the right role, and nobody else has one.
func (s *scene) exactlyOnce(without int) {
	s.t.Helper()
	total := s.number("select count(*) from users")
	if linked := s.number("select count(auth0_user_id) from users"); linked != total-without {
		s.t.Errorf("%d of %d users have an Auth0 id, want %d", linked, total, total-without)
	}
	if distinct := s.number("select count(distinct auth0_user_id) from users"); distinct != total-without {
		s.t.Errorf("there are %d different Auth0 ids, want %d", distinct, total-without)
	}
	made := 0
	for _, u := range s.tenant.Users() {
		if u.AppMetadata[markOurs] != markValue {
			continue
		}
		made++
		role := s.text(`select coalesce((select role::text from users where auth0_user_id = $1), 'nobody')`, u.ID)
		if len(u.Roles) != 1 || u.Roles[0] != role || u.AppMetadata[markRole] != role {
			s.t.Errorf("account %s has the roles %v and %v in app_metadata, its row %s", u.ID, u.Roles, u.AppMetadata[markRole], role)
		}
	}
	if made != total-without {
		s.t.Errorf("the tenant has %d accounts of ours, want %d", made, total-without)
	}
}

// report reads the failures of the last run from a report.
func (s *scene) report(path string) []failure {
	s.t.Helper()
	data, err := os.ReadFile(path)
	must(s.t, err)
	var failures []failure
	for line := range strings.Lines(string(data)) {
		var l struct {
			failure
			Event string `json:"event"`
		}
		must(s.t, json.Unmarshal([]byte(line), &l))
		switch l.Event {
		case "begin":
			failures = nil
		case "":
			failures = append(failures, l.failure)
		}
	}
	return failures
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// recorded is an environment whose log and receipts can be searched.
type recorded struct {
	*task.Env
	mu  sync.Mutex
	out bytes.Buffer
}

func record(t testing.TB) *recorded {
	r := &recorded{Env: tasktest.Env(t)}
	r.Log = slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
	save := r.Save
	r.Save = func(receipt any) error {
		raw, err := json.Marshal(receipt)
		fmt.Fprintf(r, "%s %v\n", raw, err)
		return save(receipt)
	}
	return r
}

func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// everything returns the log, what was saved, and all files of the run.
func (r *recorded) everything(t testing.TB) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.out.String()
	files, err := filepath.Glob(filepath.Join(r.Dir, "*"))
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		all += string(data)
	}
	return all
}
