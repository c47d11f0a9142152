// Package pgbouncertest puts a real PgBouncer between a test and its database:
// what a pooler does to sessions is its own business, and no stand-in knows all
// of it.
package pgbouncertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
)

// A Mode is for how long a client keeps a session of the server.
// https://www.pgbouncer.org/config.html#pool_mode
type Mode string

const (
	Session     Mode = "session"     // as long as it stays
	Transaction Mode = "transaction" // for a transaction
	Statement   Mode = "statement"   // for a statement
)

// Through starts a PgBouncer in that mode and returns the way through it to
// where dsn leads. Every database of the server can be reached by it, always as
// dsn's role. Settings are lines of its file, such as "default_pool_size = 1".
// It ends with the test.
func Through(t testing.TB, dsn redact.Secret, mode Mode, settings ...string) redact.Secret {
	t.Helper()
	for range 5 {
		port := freePort(t)
		started, err := start(t, dsn, port, append(settings, "pool_mode = "+string(mode)))
		if err == nil {
			return started
		}
		// Another program may have taken the port since: the next one is as good.
		if !strings.Contains(err.Error(), "ddress already in use") {
			t.Fatal(err)
		}
	}
	t.Fatal("no port stays free long enough for a PgBouncer")
	return redact.Secret{}
}

func start(t testing.TB, dsn redact.Secret, port int, settings []string) (redact.Secret, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(configuration(t, dsn, port, settings)), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := []string{program(t), file}
	if os.Geteuid() == 0 { // it refuses to run as root, and has read its file before it changes
		argv = append(argv, "-u", "nobody")
	}
	process, err := command.Command{Argv: argv}.Start()
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = process.Signal(syscall.SIGKILL)
		<-process.Done()
	}
	through := at(t, dsn, port)
	if err := answers(t.Context(), process, through); err != nil {
		stop()
		return redact.Secret{}, err
	}
	t.Cleanup(stop)
	return through, nil
}

// program finds PgBouncer, which Debian keeps where only root looks.
func program(t testing.TB) string {
	t.Helper()
	path, err := command.LookPath("pgbouncer")
	if err != nil {
		path, err = command.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		t.Fatal("PgBouncer is not installed: scripts/setup pgbouncer installs it")
	}
	return path
}

// configuration is PgBouncer's file: whoever reaches it gets sessions of dsn's role.
func configuration(t testing.TB, dsn redact.Secret, port int, settings []string) string {
	t.Helper()
	server, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil {
		t.Fatal("the connection string cannot be read")
	}
	lines := []string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%d user=%s password=%s", quoted(server.Host), server.Port, quoted(server.User), quoted(server.Password)),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1", fmt.Sprint("listen_port = ", port),
		"unix_socket_dir =",
		"auth_type = any",
	}
	return strings.Join(append(lines, settings...), "\n") + "\n"
}

// quoted writes a value for PgBouncer's file.
func quoted(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }

// at is dsn with PgBouncer in the server's place.
func at(t testing.TB, dsn redact.Secret, port int) redact.Secret {
	t.Helper()
	u, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal("the connection string is no URL")
	}
	u.Host = fmt.Sprint("127.0.0.1:", port)
	u.RawQuery = "sslmode=disable"
	return redact.NewSecret(u.String())
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it answers at once
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// answers waits until PgBouncer takes connections, whatever it says to them.
func answers(ctx context.Context, process *command.Process, dsn redact.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		conn, err := pgconn.Connect(ctx, dsn.Reveal())
		if err == nil {
			return conn.Close(ctx)
		}
		if said, ok := errors.AsType[*pgconn.PgError](err); ok {
			return fmt.Errorf("connect through PgBouncer: %w", said)
		}
		select {
		case <-process.Done():
			return fmt.Errorf("PgBouncer ended: %w", process.Wait())
		case <-ctx.Done():
			return fmt.Errorf("PgBouncer does not get ready: %w", ctx.Err())
		case <-time.After(3 * time.Millisecond):
		}
	}
}
