package service_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

func address(t testing.TB, text string) service.Address {
	t.Helper()
	var a service.Address
	if err := a.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return a
}

func stopOf(t testing.TB, s testService) *service.Stop {
	return &service.Stop{Service: address(t, s.address()), URL: task.URL(s.url), Timeout: 20 * time.Second}
}

func startOf(t testing.TB, s testService) *service.Start {
	return &service.Start{Service: address(t, s.address()), URL: task.URL(s.url), Timeout: 20 * time.Second}
}

func mustStart(t *testing.T, s testService) service.Started {
	t.Helper()
	receipt, err := startOf(t, s).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func isSkip(err error) bool {
	_, ok := errors.AsType[*task.SkipError](err)
	return ok
}

func TestTheTasksKeepTheContract(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dsn := postgrestest.Database(t)
	s.write(t, "dsn", dsn.Reveal())
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Of("service/start", &service.Start{Timeout: 20 * time.Second}),
		Configure: func(config any) {
			c := config.(*service.Start)
			c.Service, c.URL = address(t, s.address()), task.URL(s.url)
		},
	})
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Look("service/healthy", &service.Healthy{Timeout: 10 * time.Second}),
		Configure: func(config any) { config.(*service.Healthy).URL = task.URL(s.url) },
	})
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Of("service/stop", &service.Stop{Timeout: 20 * time.Second}),
		Configure: func(config any) {
			c := config.(*service.Stop)
			c.Service, c.URL, c.Database = address(t, s.address()), task.URL(s.url), dsn
		},
		Secrets: []string{dsn.Reveal()},
	})
}

func TestStartWaitsUntilTheServiceIsHealthyAndThenSkips(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write(t, "sick", "")
	well := time.AfterFunc(time.Second, func() { s.remove(t, "sick") })
	defer well.Stop()
	if receipt := mustStart(t, s); receipt.HealthyMS < 900 {
		t.Errorf("start returned after %d ms, while the service was sick for a second", receipt.HealthyMS)
	}
	receipt, err := startOf(t, s).Run(t.Context(), tasktest.Env(t))
	if !isSkip(err) || receipt.URL != s.url {
		t.Errorf("second start: %+v, %v", receipt, err)
	}
}

func TestStartFailsWhenTheServiceDoesNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"a script that fails", "broken", "the license has expired"},
		{"a service that stays sick", "sick", `the health page says status "degraded", not "healthy"`},
		{"a service that ends again", "crash", "has ended again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.write(t, c.file, "")
			start := startOf(t, s)
			if c.file == "sick" {
				start.Timeout = time.Second
			}
			if _, err := start.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestStartObeysAnInterruption(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write(t, "sick", "")
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(500*time.Millisecond, func() { cancel(cause) }).Stop()
	if _, err := startOf(t, s).Run(ctx, tasktest.Env(t)); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

// starter is a phasegate that starts a service and ends.
func starter(address, url, dir string) int {
	var a service.Address
	if err := a.UnmarshalText([]byte(address)); err != nil {
		return 2
	}
	start := &service.Start{Service: a, URL: task.URL(url), Timeout: 20 * time.Second}
	_, err := start.Run(context.Background(), &task.Env{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Progress: func(int64, int64, string) {},
	})
	if err != nil {
		return 1
	}
	return 0
}

func TestADaemonThatAScriptStartsOutlivesPhasegate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	child := &exec.Cmd{Path: self, Args: []string{"starter", s.address(), s.url, s.dir}}
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the start took %s: it waited for the daemon's outputs", took)
	}
	healthy := &service.Healthy{URL: task.URL(s.url), Timeout: 5 * time.Second}
	for range 3 { // each look makes the daemon write to the output that it was given
		if _, err := healthy.Run(t.Context(), tasktest.Env(t)); err != nil {
			t.Fatalf("the daemon has ended with its starter: %v", err)
		}
	}
	logs, err := filepath.Glob(s.dir + "/exec-*.log")
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v, error %v", logs, err)
	}
	if info, err := os.Stat(logs[0]); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("log %v, error %v", info, err)
	}
}

func TestStopWaitsForTheConnectionsToDrain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dsn := postgrestest.Database(t)
	s.write(t, "dsn", dsn.Reveal())
	s.write(t, "slow", "")
	mustStart(t, s)
	stop := stopOf(t, s)
	stop.URL, stop.Database = "", dsn
	receipt, err := stop.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if total := receipt.StopMS + receipt.DrainMS; total < 900 {
		t.Errorf("stop returned after %d ms, while a connection was open for a second", total)
	}
	receipt, err = stop.Run(t.Context(), tasktest.Env(t))
	if !isSkip(err) || receipt.Service != s.address() {
		t.Errorf("second stop: %+v, %v", receipt, err)
	}
}

func TestStopNamesTheApplicationsThatDoNotLetGo(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dsn := postgrestest.Database(t)
	for _, name := range []string{"reporting", "reporting", ""} {
		conn, err := connectAs(t.Context(), dsn.Reveal(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
	}
	stop := stopOf(t, s)
	stop.Database, stop.Timeout, stop.Ignore = dsn, time.Second, []string{"monitor"}
	_, err := stop.Run(t.Context(), tasktest.Env(t))
	if err == nil || !strings.Contains(err.Error(), "reporting (2), unnamed (1)") || task.HintOf(err) == "" {
		t.Fatalf("error %v", err)
	}
	stop.Ignore = []string{"reporting", ""}
	receipt, err := stop.Run(t.Context(), tasktest.Env(t))
	if !isSkip(err) || receipt.Ignored != 3 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestStopFailsWhenTheServiceStaysUp(t *testing.T) {
	t.Parallel()
	s := newService(t)
	mustStart(t, s)
	s.write(t, "stubborn", "")
	stop := stopOf(t, s)
	stop.Timeout = time.Second
	if _, err := stop.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("error %v", err)
	}
}

func TestStopFailsWhenItsPageStillAnswers(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	untrusted := httptest.NewUnstartedServer(plain.Config.Handler)
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	defer untrusted.Close()
	for _, url := range []string{plain.URL, untrusted.URL} {
		stop := stopOf(t, newService(t))
		stop.URL, stop.Timeout = task.URL(url), 500*time.Millisecond
		if _, err := stop.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "still answers") {
			t.Errorf("%s: error %v", url, err)
		}
	}
}

func TestStopTakesAProxyWithNobodyBehindItForDown(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	s := newService(t)
	stop := stopOf(t, s)
	stop.URL = task.URL(proxy.URL)
	if _, err := stop.Run(t.Context(), tasktest.Env(t)); !isSkip(err) {
		t.Errorf("error %v", err)
	}
}

func TestAnUnreachableDatabaseIsNamedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	s := newService(t)
	stop := stopOf(t, s)
	stop.Database = redact.NewSecret("postgres://app:pa55word@" + freeAddress(t) + "/medlogistics")
	for name, err := range map[string]error{
		"check": stop.Check(t.Context(), tasktest.Env(t)),
		"run":   func() error { _, err := stop.Run(t.Context(), tasktest.Env(t)); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "medlogistics") || strings.Contains(err.Error(), "pa55word") || task.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// By hand, the API's health was judged by whether a database connection opens.
func TestByHandFailure09AnOpenDatabaseDoesNotMakeTheServiceHealthy(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dsn := postgrestest.Database(t)
	conn, err := connectAs(t.Context(), dsn.Reveal(), "by-hand")
	if err != nil {
		t.Fatalf("the database must be up for this test: %v", err)
	}
	defer conn.Close(context.Background())

	healthy := &service.Healthy{URL: task.URL(s.url), Timeout: time.Second}
	if receipt, err := healthy.Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Errorf("the service is down and was found healthy: %+v", receipt)
	}
	s.write(t, "dsn", dsn.Reveal())
	s.write(t, "sick", "")
	start := startOf(t, s)
	start.Timeout = 2 * time.Second
	if receipt, err := start.Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Errorf("the service runs and has its database but is not healthy, and start was content: %+v", receipt)
	}
	if receipt, err := healthy.Run(t.Context(), tasktest.Env(t)); err == nil {
		t.Errorf("the service is sick and was found healthy: %+v", receipt)
	}
	s.remove(t, "sick")
	if _, err := start.Run(t.Context(), tasktest.Env(t)); err != nil && !isSkip(err) {
		t.Error(err)
	}
}
