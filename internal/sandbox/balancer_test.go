package sandbox

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
)

func TestNoRequestFailsWhileTheInstancesAreRestartedOneAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Users: 60, Balanced: true})
	key := s.people.User(1).APIKey // a nurse's
	var order string
	if err := connect(t, s).QueryRow(t.Context(), "select id::text from medication_orders limit 1").Scan(&order); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan int)
	go func() {
		n := 0
		defer func() { answered <- n }()
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; n++ {
			if status, body := ask(t, client, "GET", s.env["API_URL"]+"/api/me", "X-API-Key", key, nil); status != 200 {
				t.Errorf("read %d: %d %s", n, status, body)
			}
			if status, body := ask(t, client, "POST", s.env["API_URL"]+"/api/administrations", "X-API-Key", key, map[string]string{"order_id": order}); status != 201 {
				t.Errorf("write %d: %d %s", n, status, body)
			}
			<-tick.C
		}
	}()
	for _, instance := range []string{"API_SERVICE_A", "API_SERVICE_B"} {
		script := strings.TrimPrefix(s.env[instance], "exec://")
		for _, action := range []string{"stop", "start"} {
			if err := (command.Command{Argv: []string{script, action}}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := awaitHealth(t.Context(), s.env[strings.Replace(instance, "SERVICE", "URL", 1)]+"/health"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if n := <-answered; n < 20 {
		t.Errorf("only %d requests were made meanwhile", n)
	}
}

// A machine that is busy lets an instance seem away. Requests go to that one all
// the same, not to one that said that it stops.
func TestABusyInstanceIsPreferredToOneThatStops(t *testing.T) {
	t.Parallel()
	busy, stopping := make(chan struct{}), atomic.Bool{}
	serve := func(health http.HandlerFunc, name string) string {
		mux := http.NewServeMux()
		mux.HandleFunc("/health", health)
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	a := serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-busy:
		case <-r.Context().Done():
		}
	}, "a")
	b := serve(func(w http.ResponseWriter, _ *http.Request) {
		if stopping.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, medlogistics.Stopping)
		}
	}, "b")
	t.Cleanup(func() { close(busy) })
	balancer, err := balance(t.Context(), "127.0.0.1:0", a, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = balancer.close() })
	inOrder := func(want ...string) {
		t.Helper()
		// Twice, since of equals another one is the first each time.
		for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			once, twice := balancer.inOrder(), balancer.inOrder()
			if slices.Equal(once, want) && slices.Equal(twice, want) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("requests go to %v and %v, not to %v", once, twice, want)
			}
		}
	}
	inOrder(b, a)
	stopping.Store(true)
	inOrder(a, b)
}

// Between two looks at its health an instance may begin to stop. Who only asks does
// not notice; what changes something is not sent twice.
func TestAnAnswerThatTheServiceIsUnavailableIsAskedOfAnotherInstance(t *testing.T) {
	t.Parallel()
	serve := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/health" {
				w.WriteHeader(status)
			}
			_, _ = w.Write(said)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	balancer, err := balance(t.Context(), "127.0.0.1:0", serve(http.StatusOK), serve(http.StatusServiceUnavailable), gone.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = balancer.close() })
	client := &http.Client{Transport: balancer}
	unavailable := 0
	for range 12 {
		if status, body := ask(t, client, "GET", "http://api/api/me", "X-API-Key", "k", nil); status != http.StatusOK {
			t.Errorf("a read was answered with %d %s", status, body)
		}
		switch status, body := ask(t, client, "POST", "http://api/api/administrations", "X-API-Key", "k", "given"); {
		case status == http.StatusServiceUnavailable:
			unavailable++
		case status != http.StatusOK || !strings.Contains(body, "given"):
			t.Errorf("a write was answered with %d %s", status, body)
		}
	}
	if unavailable == 0 {
		t.Error("a write was sent to another instance although the first had it")
	}
}
