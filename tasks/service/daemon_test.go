package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMain makes this binary the service's process when it is called by the
// name "daemon", and a short-lived phasegate when it is called "starter".
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "daemon":
		os.Exit(daemon(filepath.Dir(os.Args[0])))
	case "starter":
		os.Exit(starter(os.Args[1], os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// A testService is an init script and its daemon in a directory of the test's.
type testService struct {
	dir string
	url string // of its health page
}

// newService lays a stopped service and ends it with the test.
func newService(t *testing.T) testService {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/control.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"daemon": self, "control": script} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := testService{dir, "http://" + freeAddress(t) + "/health"}
	s.write(t, "addr", strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/health"))
	t.Cleanup(func() {
		if pid := s.pid(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return s
}

func (s testService) address() string { return "exec://" + s.dir + "/control" }

func (s testService) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s testService) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func (s testService) pid() int {
	text, _ := os.ReadFile(filepath.Join(s.dir, "pid"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
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

// daemon serves the health page at the address in the file addr until it is
// told to stop. Other files in dir change its ways: it connects to the database
// in dsn, is not healthy while sick is there, ends at once if crash is, and
// holds its connection for a while after SIGTERM if slow is.
func daemon(dir string) int {
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return string(text)
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if there("crash") {
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var db io.Closer
	if dsn := read("dsn"); dsn != "" {
		conn, err := connectAs(ctx, dsn, "medlogistics-api")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		db = closer(func() error { return conn.Close(context.Background()) })
	}
	server := &http.Server{Addr: read("addr"), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// A broken pipe on the standard error ends a program that is not careful.
		fmt.Fprintln(os.Stderr, "a line of the daemon's log")
		if there("sick") {
			_, _ = io.WriteString(w, `{"status":"degraded"}`)
			return
		}
		_, _ = io.WriteString(w, `{"status":"healthy","version":3}`)
	})}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	err := server.ListenAndServe()
	if db != nil {
		if there("slow") {
			time.Sleep(time.Second) // what the test is about: a connection that outlives the page
		}
		_ = db.Close()
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return 1
	}
	return 0
}

type closer func() error

func (c closer) Close() error { return c() }

func connectAs(ctx context.Context, dsn, application string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = application
	return pgx.ConnectConfig(ctx, config)
}
