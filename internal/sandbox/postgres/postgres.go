// Package postgres runs a throwaway PostgreSQL cluster for rehearsals and
// tests: a data directory of its own, a socket and a port on loopback, ready in
// a fraction of a second, and nothing left of it afterwards, however its owner
// went. As root, the server runs as an unprivileged account, since PostgreSQL
// refuses to run as root.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/home"
)

// Settings tells how a cluster is to be. The zero value is right for tests.
type Settings struct {
	// Dir is an existing directory below which the cluster makes its own; ""
	// is the system's place for temporary files. As root, the account postgres
	// must be able to pass through it.
	Dir string

	// Durable leaves fsync, full_page_writes and synchronous_commit on, as a
	// production server has them.
	Durable bool

	// Parameters are server settings that take the place of this package's.
	Parameters map[string]string
}

// A Cluster is a running server. It is safe for concurrent use.
type Cluster struct {
	home     *home.Home
	server   *command.Process
	port     int
	password string
	stop     sync.Once
	stopErr  error
}

// homePrefix begins the names of clusters' directories.
const homePrefix = "phasegate-pg-"

// superuser is the role that owns the cluster.
const superuser = "postgres"

// Start is Settings{Dir: dir}.Start.
func Start(ctx context.Context, dir string) (*Cluster, error) {
	return Settings{Dir: dir}.Start(ctx)
}

// Start makes a cluster and returns when it takes connections. Before that it
// ends and removes the clusters of owners that died without stopping theirs.
// The cluster lives until Stop, or as long as this process.
func (s Settings) Start(ctx context.Context) (*Cluster, error) {
	c, err := s.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start a throwaway PostgreSQL: %w", err)
	}
	return c, nil
}

func (s Settings) start(ctx context.Context) (*Cluster, error) {
	base, err := baseDir(s.Dir)
	if err != nil {
		return nil, err
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	home, err := home.New(base, homePrefix)
	if err != nil {
		return nil, err
	}
	c := &Cluster{home: home, password: rand.Text()}
	if err := c.open(ctx, programs, account, s.parameters()); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// open takes the cluster from an empty home to a server with a password.
func (c *Cluster) open(ctx context.Context, p programs, account *command.Account, parameters map[string]string) error {
	if err := give(c.home.Dir(), account); err != nil {
		return err
	}
	if err := fill(ctx, c.home.Dir(), p, account); err != nil {
		return err
	}
	if err := c.launch(ctx, p, account, parameters); err != nil {
		return err
	}
	if err := c.home.Watch(c.server.PID()); err != nil {
		return err
	}
	return c.setPassword(ctx)
}

// programs are the PostgreSQL programs that are needed, by path.
type programs struct{ initdb, postgres string }

func findPrograms() (programs, error) {
	initdb, err := pg.Tool("initdb")
	if err != nil {
		return programs{}, err
	}
	postgres, err := pg.Tool("postgres")
	return programs{initdb, postgres}, err
}

// parameters returns the server's settings. Without Durable, a crash of the
// machine loses the data, which nobody will miss.
func (s Settings) parameters() map[string]string {
	parameters := map[string]string{
		"listen_addresses": "127.0.0.1",
		"max_connections":  "100",
		"shared_buffers":   "64MB",
		"wal_level":        "minimal",
		"max_wal_senders":  "0",
		"autovacuum":       "off",
		"timezone":         "UTC",
		// Statements hold people's names, and the server's log is quoted in errors.
		"log_min_error_statement": "panic",
	}
	if !s.Durable {
		maps.Copy(parameters, map[string]string{
			"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
		})
	}
	maps.Copy(parameters, s.Parameters)
	return parameters
}

// arguments renders parameters for the server's command line.
func arguments(parameters map[string]string) []string {
	var argv []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		argv = append(argv, "-c", name+"="+parameters[name])
	}
	return argv
}

// DSN returns a URL that reaches database over TCP with the superuser's
// password, for pgx as well as for libpq's programs.
func (c *Cluster) DSN(database string) redact.Secret {
	return c.RoleDSN(superuser, c.password, database)
}

// RoleDSN is DSN for another role of the cluster.
func (c *Cluster) RoleDSN(role, password, database string) redact.Secret {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Host:     "127.0.0.1:" + strconv.Itoa(c.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return redact.NewSecret(u.String())
}

// SocketDir is the directory of the server's Unix socket. Whoever can enter it
// needs no password.
func (c *Cluster) SocketDir() string { return c.home.Dir() }

// Port is the port on 127.0.0.1, and the number in the socket's name.
func (c *Cluster) Port() int { return c.port }

// Superuser is the name of the role of DSN.
func (c *Cluster) Superuser() string { return superuser }

// stopTimeout is how long the server has to stop before it is killed. It stops
// in a hundredth of a second.
const stopTimeout = 5 * time.Second

// Stop ends the server at once, whoever is connected, and removes all that was
// its. Calling it again does nothing.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		c.stopErr = errors.Join(c.endServer(), c.home.Remove())
	})
	return c.stopErr
}

func (c *Cluster) endServer() error {
	if c.server == nil {
		return nil
	}
	_ = c.server.Signal(syscall.SIGQUIT) // it may have ended by itself
	select {
	case <-c.server.Done():
		return nil
	case <-time.After(stopTimeout):
	}
	_ = c.server.Signal(syscall.SIGKILL)
	<-c.server.Done()
	return errors.New("stop the throwaway PostgreSQL: it had to be killed")
}
