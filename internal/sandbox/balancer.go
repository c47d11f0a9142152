package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
)

// A balancer stands in front of the API's instances, as a reverse proxy does in
// production: it asks each for its health, sends requests to those that are well in
// turn, and tries another where nobody listens any more or, if that cannot do a
// thing twice, where the answer is that the service is unavailable.
type balancer struct {
	instances []*instance
	turn      atomic.Uint64
	transport http.Transport
	server    *http.Server
	stop      context.CancelFunc
}

// An instance of the API, as the balancer sees it.
type instance struct {
	address string
	health  atomic.Int32
}

// What the last look at an instance found, the best first.
const (
	well    = iota // it answers requests
	unwell         // it says that it cannot, or is slow to say anything: the machine may be busy
	leaving        // it says that it is about to stop, or does not listen
)

// healthEvery is how often the balancer asks an instance for its health. An
// instance that is told to stop says so in time: see medlogistics.API.
const healthEvery = 20 * time.Millisecond

// balance serves the instances at an address.
func balance(ctx context.Context, address string, instances ...string) (*balancer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	b := &balancer{transport: http.Transport{DisableKeepAlives: true}}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	for _, address := range instances {
		i := &instance{address: address}
		b.instances = append(b.instances, i)
		go i.watch(watch)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: address}) },
		Transport: b,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	b.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = b.server.Serve(listener) }()
	return b, nil
}

// watch keeps asking the instance for its health.
func (i *instance) watch(ctx context.Context) {
	client := &http.Client{Timeout: time.Second}
	for ctx.Err() == nil {
		i.health.Store(i.look(ctx, client))
		select {
		case <-ctx.Done():
		case <-time.After(healthEvery):
		}
	}
}

// look asks the instance for its health. One that was leaving and does not answer
// in time is still leaving.
func (i *instance) look(ctx context.Context, client *http.Client) int32 {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.address+"/health", http.NoBody)
	if err != nil {
		return leaving
	}
	response, err := client.Do(request)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return max(unwell, i.health.Load())
	}
	if err != nil {
		return leaving
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(response.Body)
	switch {
	case response.StatusCode == http.StatusOK:
		return well
	case bytes.Contains(said, []byte(medlogistics.Stopping)):
		return leaving
	}
	return unwell
}

// RoundTrip sends the request to the next of the instances that are best, and to
// another one if that may be done.
func (b *balancer) RoundTrip(r *http.Request) (response *http.Response, err error) {
	order := b.inOrder()
	for n, address := range order {
		attempt := r.Clone(r.Context())
		attempt.URL.Host = address
		if r.Body != nil {
			attempt.Body = io.NopCloser(r.Body) // nothing of it is read where nobody listens
		}
		response, err = b.transport.RoundTrip(attempt)
		if n == len(order)-1 || !another(r, response, err) {
			break
		}
		if response != nil {
			_ = response.Body.Close()
		}
	}
	return response, err
}

// another reports whether a request may be sent to another instance as well: the
// first has not seen it, or it only asks and the first said that it cannot answer.
// It may have begun to stop since the last look at its health.
func another(r *http.Request, response *http.Response, err error) bool {
	if err != nil {
		failure, ok := errors.AsType[*net.OpError](err)
		return ok && failure.Op == "dial"
	}
	asks := r.Method == http.MethodGet && (r.Body == nil || r.Body == http.NoBody)
	return asks && response.StatusCode == http.StatusServiceUnavailable
}

// inOrder returns all addresses, the best first, and of equals another one each time.
func (b *balancer) inOrder() []string {
	var byHealth [leaving + 1][]string
	first := b.turn.Add(1)
	for n := range b.instances {
		i := b.instances[(first+uint64(n))%uint64(len(b.instances))]
		health := i.health.Load()
		byHealth[health] = append(byHealth[health], i.address)
	}
	return slices.Concat(byHealth[:]...)
}

// close ends the service.
func (b *balancer) close() error {
	b.stop()
	return b.server.Close()
}
