package service_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/service"
)

func TestHealthIsWhatThePageSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		expect map[string]string
		want   string // in the error, "" for healthy
	}{
		{"healthy", 200, `{"status":"healthy"}`, nil, ""},
		{"more than asked for", 200, `{"status":"healthy","version":"2","n":3}`, map[string]string{"version": "2", "n": "3"}, ""},
		{"any answer", 200, `fine`, map[string]string{}, ""},
		{"another word", 200, `{"status":"starting"}`, nil, `says status "starting", not "healthy"`},
		{"no such key", 200, `{"state":"healthy"}`, nil, `has no "status"`},
		{"not JSON", 200, `<html>healthy</html>`, nil, "not a JSON object"},
		{"not found", 404, `{"status":"healthy"}`, nil, "status 404, not 200"},
		{"no content", 204, ``, nil, "status 204, not 200"},
		{"moved", 301, `{"status":"healthy"}`, nil, "status 301, not 200"},
		{"overloaded", 503, `{"status":"healthy"}`, nil, "status 503, not 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			healthy := &service.Healthy{URL: task.URL(server.URL), Expect: c.expect, Timeout: 2 * time.Second}
			receipt, err := healthy.Run(t.Context(), tasktest.Env(t))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if receipt.Status != c.status || receipt.Looks == 0 {
				t.Errorf("receipt %+v", receipt)
			}
		})
	}
}

// A last look that the end of the time cuts short takes nothing from the answer before.
func TestTheReceiptHasTheLastAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	healthy := &service.Healthy{URL: task.URL(server.URL), Timeout: 3 * time.Second}
	receipt, err := healthy.Run(t.Context(), tasktest.Env(t))
	if err == nil || !strings.Contains(err.Error(), "status 503") || receipt.Status != 503 || receipt.Looks != 2 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestHealthyAsksAgainUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"status":"healthy"}`)
	}))
	defer server.Close()
	healthy := &service.Healthy{URL: task.URL(server.URL), Timeout: 10 * time.Second}
	if receipt, err := healthy.Run(t.Context(), tasktest.Env(t)); err != nil || receipt.Looks != 3 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}
