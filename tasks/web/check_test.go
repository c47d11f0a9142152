package web_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/web"
)

const key = "the-key-of-a-nurse"

// pages serves what the tests ask for.
func pages(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/docs":
		_, _ = io.WriteString(w, "<title>MedLogistics API</title>")
	case "/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond):
		}
	case "/never":
		<-r.Context().Done()
	case "/moved":
		http.Redirect(w, r, "/docs", http.StatusMovedPermanently)
	case "/api/users":
		if r.Header.Get("X-API-Key") != key {
			w.WriteHeader(http.StatusUnauthorized)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(pages))
	t.Cleanup(server.Close)
	return server
}

func spec() task.Spec {
	return task.Look("web/check", &web.Check{Status: http.StatusOK, Timeout: 10 * time.Second})
}

// check returns the task with its defaults, asking for a page of the server.
func check(server *httptest.Server, path string) *web.Check {
	c := spec().New().Config().(*web.Check)
	c.URL = task.URL(server.URL + path)
	return c
}

func TestCheckKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := serve(t)
	tasktest.Conform(t, tasktest.Case{
		Spec: spec(),
		Configure: func(config any) {
			c := config.(*web.Check)
			c.URL, c.Headers = task.URL(server.URL+"/api/users?token=hush-hush"), map[string]redact.Secret{"X-API-Key": redact.NewSecret(key)}
		},
		Secrets: []string{key, "hush-hush"},
	})
}

func TestAPageIsJudgedByStatusBodyAndLatency(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, c := range []struct {
		name, path string
		configure  func(*web.Check)
		want       string // in the error, "" for none
	}{
		{"as it should be", "/docs", func(c *web.Check) { c.BodyContains, c.MaxLatency = "MedLogistics", 5*time.Second }, ""},
		{"another status that is wanted", "/absent", func(c *web.Check) { c.Status = 404 }, ""},
		{"a redirect that is wanted", "/moved", func(c *web.Check) { c.Status = 301 }, ""},
		{"not there", "/absent", nil, "answers with status 404, not with 200"},
		{"without its key", "/api/users", nil, "answers with status 401, not with 200"},
		{"moved", "/moved", nil, "status 301, a redirect, not with 200"},
		{"another text", "/docs", func(c *web.Check) { c.BodyContains = "Swagger" }, `does not contain "Swagger"`},
		{"too slow", "/slow", func(c *web.Check) { c.MaxLatency = 100 * time.Millisecond }, "more than 100ms"},
		{"no answer", "/never", func(c *web.Check) { c.Timeout = 100 * time.Millisecond }, "no answer within 100ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check := check(server, c.path)
			if c.configure != nil {
				c.configure(check)
			}
			_, err := check.Run(t.Context(), tasktest.Env(t))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestAPageThatIsNotThereIsNotNeededByADryRun(t *testing.T) {
	t.Parallel()
	server := serve(t)
	check := check(server, "/docs")
	server.Close()
	if err := check.Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("check: %v", err)
	}
	if _, err := check.Run(t.Context(), tasktest.Env(t)); err == nil || task.HintOf(err) == "" {
		t.Errorf("run: %v", err)
	}
}

func TestAnAuthorityFileIsUsed(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(pages))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	check := check(server, "/docs")
	if _, err := check.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(task.HintOf(err), "ca_file") {
		t.Errorf("without it: %v", err)
	}
	check.CAFile = file
	if _, err := check.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("with it: %v", err)
	}
	check.CAFile = file + ".absent"
	if err := check.Check(t.Context(), tasktest.Env(t)); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestAnInterruptionIsObeyed(t *testing.T) {
	t.Parallel()
	server := serve(t)
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(cause) }).Stop()
	if _, err := check(server, "/never").Run(ctx, tasktest.Env(t)); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeCheckedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]web.Check{
		"no address": {Status: 200, Timeout: 1},
		"no status":  {URL: "http://localhost/", Timeout: 1},
		"no time":    {URL: "http://localhost/", Status: 200},
		"no latency": {URL: "http://localhost/", Status: 200, Timeout: 1, MaxLatency: -1},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
