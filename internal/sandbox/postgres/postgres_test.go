package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
)

// ownerVariable makes this test binary an owner of a cluster below the
// directory that it names: it prints what it owns and waits to be killed.
const ownerVariable = "PHASEGATE_TEST_CLUSTER_OWNER"

// owned is what such an owner prints.
type owned struct {
	Home   string
	Server int
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		own(dir)
		return
	}
	os.Exit(m.Run())
}

func own(dir string) {
	c, err := Start(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(owned{c.home.Dir(), c.server.PID()})
	select {}
}

// base is a directory for clusters that no other test sweeps. It is short
// enough for a socket, which t.TempDir is not.
func base(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// warmBase is a base that has the template already.
func warmBase(t *testing.T) string {
	t.Helper()
	if err := start(t, Settings{}).Stop(); err != nil {
		t.Fatal(err)
	}
	dir := base(t)
	template := templates(t, os.TempDir())[0]
	if err := os.Link(template, filepath.Join(dir, filepath.Base(template))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// templates lists those of this account in dir.
func templates(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("phasegate-pgtemplate-%d-*", os.Geteuid())))
	if err != nil || len(found) == 0 {
		t.Fatalf("no template in %s, %v", dir, err)
	}
	return found
}

func start(t *testing.T, s Settings) *Cluster {
	t.Helper()
	c, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

func query(t *testing.T, dsn redact.Secret, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after ten seconds, not yet: %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func runs(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !exists("/proc/self")
	}
	_, after, _ := strings.Cut(string(state), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestAClusterLeavesNothingButItsTemplate(t *testing.T) {
	dir := base(t)
	for range 2 { // by initdb, then from the template
		c := start(t, Settings{Dir: dir})
		if got := query(t, c.DSN("postgres"), "select current_user || ' ' || current_setting('data_checksums')"); got != "postgres on" {
			t.Errorf("the server says %q", got)
		}
		for range 2 {
			if err := c.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if runs(c.server.PID()) {
			t.Error("the server still runs")
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "phasegate-pgtemplate-") {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTheDSNServesLibpqAndPgx(t *testing.T) {
	c := start(t, Settings{})
	psql, err := pg.Tool("psql")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(c.DSN("template1"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.Command{Argv: []string{psql, "-XAtc", "select current_database()"}, Env: env}.Output(t.Context())
	if err != nil || strings.TrimSpace(out) != "template1" {
		t.Errorf("psql says %q, %v", out, err)
	}
	if got := query(t, c.DSN("template1"), "select current_database()"); got != "template1" {
		t.Errorf("pgx says %q", got)
	}
	if !exists(filepath.Join(c.SocketDir(), ".s.PGSQL."+strconv.Itoa(c.Port()))) {
		t.Error("there is no socket")
	}
}

func TestOverTCPThePasswordCounts(t *testing.T) {
	a, b := start(t, Settings{}), start(t, Settings{})
	if a.password == b.password {
		t.Error("two clusters have the same password")
	}
	_, err := pgx.Connect(t.Context(), a.RoleDSN(superuser, b.password, "postgres").Reveal())
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Errorf("with another password: %v", err)
	}
}

func TestADurableClusterKeepsFsyncOn(t *testing.T) {
	const settings = "select current_setting('fsync') || current_setting('wal_level')"
	if got := query(t, start(t, Settings{}).DSN("postgres"), settings); got != "offminimal" {
		t.Errorf("by default: %s", got)
	}
	durable := start(t, Settings{Durable: true, Parameters: map[string]string{"wal_level": "logical"}})
	if got := query(t, durable.DSN("postgres"), settings); got != "onlogical" {
		t.Errorf("durable, with a parameter: %s", got)
	}
}

// startOwner starts this binary as the owner of a cluster below dir.
func startOwner(t *testing.T, dir string) (*command.Process, owned) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	owner, err := command.Command{
		Argv: []string{os.Args[0]}, Env: []string{ownerVariable + "=" + dir}, Stdout: write,
	}.Start()
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Signal(syscall.SIGKILL) })
	var what owned
	if err := json.NewDecoder(read).Decode(&what); err != nil {
		t.Fatalf("the owner: %v, %v", err, owner.Wait())
	}
	return owner, what
}

func TestAKilledOwnerLeavesNoServerAndNoFiles(t *testing.T) {
	owner, what := startOwner(t, warmBase(t))
	if err := owner.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is gone", func() bool { return !runs(what.Server) })
	eventually(t, "the home is gone", func() bool { return !exists(what.Home) && !exists(what.Home+".lock") })
}

func TestTheNextStartSweepsWhatAKilledOwnerAndWatchLeft(t *testing.T) {
	dir := warmBase(t)
	owner, what := startOwner(t, dir)
	// A stopped server does not obey the death signal: it outlives its owner.
	joinGroup(t, what.Server)
	if err := syscall.Kill(what.Server, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	killWatch(t, what.Home)
	if err := owner.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	if !exists(what.Home) || !runs(what.Server) {
		t.Fatal("all is gone already: this tests nothing")
	}
	start(t, Settings{Dir: dir})
	if exists(what.Home) || exists(what.Home+".lock") || runs(what.Server) {
		t.Error("the start left something of the dead owner's cluster")
	}
}

// joinGroup adds a child of ours to a process group. Without it the group would
// be orphaned with its leader's parent, and the kernel has a stopped process of
// such a group go on.
func joinGroup(t *testing.T, group int) {
	t.Helper()
	member, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Setpgid: true, Pgid: group},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = member.Kill()
		_, _ = member.Wait()
	})
}

// killWatch kills the shell that would remove the home.
func killWatch(t *testing.T, home string) {
	t.Helper()
	lines, err := command.Command{Argv: []string{"ps", "-axo", "pid=,args="}}.Output(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if strings.Contains(line, "phasegate-watch") && fields[len(fields)-1] == home {
			pid, _ := strconv.Atoi(fields[0])
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the watch is gone", func() bool { return !runs(pid) })
			return
		}
	}
	t.Fatal("there is no watch")
}

func TestASweepLeavesALivingClusterAlone(t *testing.T) {
	dir := warmBase(t)
	first := start(t, Settings{Dir: dir})
	start(t, Settings{Dir: dir})
	query(t, first.DSN("postgres"), "select 'still there'")
}

func TestTwoStartsAtOnceShareOneTemplate(t *testing.T) {
	dir := base(t)
	const starts = 3
	ready := make(chan error, starts)
	for range starts {
		go func() {
			c, err := Start(t.Context(), dir)
			if err == nil {
				err = c.Stop()
			}
			ready <- err
		}()
	}
	for range starts {
		if err := <-ready; err != nil {
			t.Error(err)
		}
	}
	if found := templates(t, dir); len(found) != 1 {
		t.Errorf("templates: %v", found)
	}
}

func TestADamagedTemplateIsMadeAgain(t *testing.T) {
	dir := base(t)
	if err := start(t, Settings{Dir: dir}).Stop(); err != nil {
		t.Fatal(err)
	}
	template := templates(t, dir)[0]
	whole, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(template, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, Settings{Dir: dir})
	if mended, err := os.ReadFile(template); err != nil || len(mended) < len(whole)/2+1 {
		t.Errorf("the template was not made again: %d bytes, %v", len(mended), err)
	}
}

func TestAStartThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	dir := warmBase(t)
	start(t, Settings{Dir: dir})
	before, _ := os.ReadDir(dir)
	_, err := Settings{Dir: dir, Parameters: map[string]string{"max_connections": "many"}}.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("the error is %v", err)
	}
	if after, _ := os.ReadDir(dir); len(after) != len(before) {
		t.Errorf("left behind: %v", after)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := errors.New("ended by the test")
	cancel(ended)
	if _, err := Start(ctx, dir); !errors.Is(err, ended) && !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

func TestAPlaceWhereNoSocketFitsIsRefused(t *testing.T) {
	long := filepath.Join(base(t), strings.Repeat("long", 20))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), long); err == nil || !strings.Contains(err.Error(), "no place for a cluster") {
		t.Errorf("the error is %v", err)
	}
}

func TestAPortIsOnLoopbackOnly(t *testing.T) {
	c := start(t, Settings{})
	if got := query(t, c.DSN("postgres"), "select current_setting('listen_addresses')"); got != "127.0.0.1" {
		t.Errorf("it listens on %s", got)
	}
	conn, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(c.Port()))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
