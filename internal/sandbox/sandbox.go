// Package sandbox is what a rehearsal runs against: MedLogistics' database in a
// throwaway PostgreSQL, a tenant that behaves as Auth0 does, and the API, with
// the environment that makes a plan use them instead of production.
package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/home"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/sandbox/prometheus"
)

// Options say what a sandbox is like.
type Options struct {
	Users int // in the database

	// Unmigratable puts two users among them whom no tenant takes, and leaves
	// them out by USERS_WHERE. It counts from three users on.
	Unmigratable bool

	// Balanced has two instances of the API behind a balancer, for plans that
	// restart one at a time: API_SERVICE_A and API_URL_A, and B.
	Balanced bool

	// Watched has the API scraped by a stand-in for Prometheus: METRICS_URL and
	// KEYS_UNUSED_FOR.
	Watched bool

	Plan auth0.Plan   // of the tenant, which limits its requests
	Self string       // phasegate's program: "Self sandbox-api" is the API
	Dir  string       // an existing directory to make it in; "" is the place for temporary files
	Log  *slog.Logger //
}

// A Sandbox is a running one. It ends with its process, however that ends; Close
// ends it before.
type Sandbox struct {
	home     *home.Home
	cluster  *postgres.Cluster
	tenant   *auth0.Tenant
	server   *auth0.Server
	services []string // the API's scripts, one an instance
	balancer *balancer
	metrics  *prometheus.Server
	database redact.Secret
	people   medlogistics.Population
	env      map[string]string
	close    sync.Once
	closeErr error
}

const (
	homePrefix = "phasegate-sandbox-"

	// audience is the API's identifier in the tenant of auth0.MedLogistics.
	audience = "https://api.medlog.app"
)

// Start starts everything and returns when the API is healthy.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	base := o.Dir
	if base == "" {
		base = os.TempDir()
	}
	h, err := home.New(base, homePrefix)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{
		home:   h,
		people: medlogistics.Population{Users: o.Users, Unmigratable: o.Unmigratable && o.Users >= 3},
	}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, o Options) error {
	if err := s.home.Watch(0); err != nil {
		return err
	}
	if err := s.startDatabase(ctx, o.Dir); err != nil {
		return err
	}
	o.Log.Debug("sandbox: the database is seeded", "users", o.Users, "port", s.cluster.Port())
	s.tenant = auth0.NewTenant(auth0.Config{Plan: o.Plan, Seed: auth0.MedLogistics()})
	server, err := s.tenant.Start(s.home.Dir())
	if err != nil {
		return err
	}
	s.server = server
	s.env = map[string]string{}
	if o.Balanced {
		err = s.startBalanced(ctx, o.Self)
	} else {
		err = s.startAlone(ctx, o.Self)
	}
	if err != nil {
		return err
	}
	o.Log.Debug("sandbox: the API is healthy", "url", s.env["API_URL"], "tenant", s.server.Domain)
	if o.Watched {
		if err := s.startMetrics(ctx); err != nil {
			return err
		}
	}
	return s.environment()
}

// environment sets the variables of the plan.
func (s *Sandbox) environment() error {
	backups := filepath.Join(s.home.Dir(), "backups")
	if err := os.Mkdir(backups, 0o700); err != nil {
		return err
	}
	id, secret := s.tenant.ManagementClient()
	maps.Copy(s.env, map[string]string{
		"APP_ENV":                        "production",
		"APP_VERSION":                    "rehearsal",
		"DATABASE_URL":                   s.database.Reveal(),
		"BACKUP_DIR":                     backups,
		"AUTH0_DOMAIN":                   s.server.Domain,
		"AUTH0_API_AUDIENCE":             audience,
		"AUTH0_MANAGEMENT_CLIENT_ID":     id,
		"AUTH0_MANAGEMENT_CLIENT_SECRET": secret,
		"AUTH0_CA_FILE":                  s.server.CAFile,
		"SAMPLE_WHERE":                   "is_active",
	})
	s.applications()
	s.testAccounts()
	if refused := s.people.Refused(); refused > 0 {
		var ids []string
		for i := s.people.Users - refused; i < s.people.Users; i++ {
			ids = append(ids, "'"+s.people.User(i).ID+"'")
		}
		s.env["USERS_WHERE"] = "id not in (" + strings.Join(ids, ", ") + ")"
	}
	return nil
}

// applications sets the variables of what plans know the tenant's applications by,
// but for the one that the migration comes as.
func (s *Sandbox) applications() {
	s.env["VITE_AUTH0_CLIENT_ID"], _, _ = s.tenant.Client("MedLogistics Admin Frontend")
	s.env["AUTH0_SETUP_CLIENT_ID"], s.env["AUTH0_SETUP_CLIENT_SECRET"] = s.tenant.AddClient(auth0.Client{
		Name: "Tenant Set-up", Type: "non_interactive", GrantTypes: []string{"client_credentials"},
		Grants: map[string][]string{auth0.Management: auth0.ManagementScopes()},
	})
}

// quietAddress returns a free address on loopback whose port lies below those
// that Linux and macOS give to outgoing connections: nobody takes it while the
// plan has the API stopped.
func quietAddress(ctx context.Context) (string, error) {
	var err error
	for range 50 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000)))
		var listener net.Listener
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err == nil {
			return address, listener.Close()
		}
	}
	return "", err
}

// Env returns the environment of the plan. There are secrets in it.
func (s *Sandbox) Env() map[string]string { return maps.Clone(s.env) }

// Dir is a directory that is removed with the sandbox.
func (s *Sandbox) Dir() string { return s.home.Dir() }

// DatabaseURL reaches MedLogistics' database as the role that owns it.
func (s *Sandbox) DatabaseURL() redact.Secret { return s.database }

// Cluster is the server that the database is on.
func (s *Sandbox) Cluster() *postgres.Cluster { return s.cluster }

// Tenant is the tenant that the plan works on.
func (s *Sandbox) Tenant() *auth0.Tenant { return s.tenant }

// Accounts is the number of accounts in the tenant.
func (s *Sandbox) Accounts() int { return s.tenant.CountUsers() }

// LoseAccount takes an account out of the tenant behind the plan's back, and
// tells whether there was one.
func (s *Sandbox) LoseAccount() bool {
	users := s.tenant.Users()
	return len(users) > 0 && s.tenant.DeleteUser(users[len(users)/2].ID)
}

// closeTimeout is for the API's stop.
const closeTimeout = 20 * time.Second

// Close ends everything and removes what was written. Calling it again does
// nothing.
func (s *Sandbox) Close() error {
	s.close.Do(func() {
		var failures []error
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if s.metrics != nil {
			failures = append(failures, s.metrics.Close())
		}
		for _, service := range s.services {
			failures = append(failures, command.Command{Argv: []string{service, "stop"}}.Run(ctx))
		}
		if s.balancer != nil { // after the instances, which stop when it has looked
			failures = append(failures, s.balancer.close())
		}
		if s.server != nil {
			failures = append(failures, s.server.Close())
		}
		if s.cluster != nil {
			failures = append(failures, s.cluster.Stop())
		}
		s.closeErr = errors.Join(append(failures, s.home.Remove())...)
	})
	return s.closeErr
}
