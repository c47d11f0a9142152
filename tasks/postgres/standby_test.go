package postgres_test

import (
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	sandbox "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

func TestReadyRefusesAStandby(t *testing.T) {
	t.Parallel()
	primary, err := sandbox.Settings{Parameters: map[string]string{"wal_level": "replica", "max_wal_senders": "2"}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Stop()
	dsn := startStandby(t, primary.DSN(pg.Maintenance))
	_, err = ready(dsn).Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "the server is a standby", "the primary's address")
}

// startStandby makes a standby of a server, from a base backup of it.
func startStandby(t *testing.T, primary redact.Secret) redact.Secret {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "standby")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	account := unprivileged(t, dir)
	tool := func(name string) string {
		path, err := pg.Tool(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	env, err := pg.Env(primary)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	err = command.Command{
		Argv: []string{tool("pg_basebackup"), "--pgdata=" + data, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"},
		Env:  env, Dir: dir, As: account,
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(freeAddress(t))
	server, err := command.Command{
		Argv: []string{tool("postgres"), "-D", data, "-p", port, "-k", dir, "-c", "max_wal_senders=2", "-c", "fsync=off"},
		Dir:  dir, As: account, Orphan: command.Quit,
	}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Signal(syscall.SIGQUIT); _ = server.Wait() })
	u, err := url.Parse(primary.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	u.Host = net.JoinHostPort("127.0.0.1", port)
	dsn := redact.NewSecret(u.String())
	waitFor(t, func() bool {
		conn, err := pg.Connect(t.Context(), dsn)
		if err == nil {
			pg.Close(conn)
		}
		return err == nil
	})
	return dsn
}

// unprivileged returns the account for a server, as which root has to run it,
// and gives it the directory.
func unprivileged(t *testing.T, dir string) *command.Account {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(found.Uid)
	gid, _ := strconv.Atoi(found.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &command.Account{UID: uint32(uid), GID: uint32(gid)}
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
