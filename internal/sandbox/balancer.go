package sandbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// A balancer stands in front of the API's instances, as a reverse proxy does in
// production: it asks each for its health, sends requests to the healthy ones in
// turn, and tries another where nobody listens any more.
type balancer struct {
	instances []*instance
	turn      atomic.Uint64
	server    *http.Server
	stop      context.CancelFunc
}

// An instance of the API, as the balancer sees it.
type instance struct {
	address string
	healthy atomic.Bool
}

// healthEvery is how often the balancer asks an instance for its health. An
// instance that is told to stop says so in time: see medlogistics.API.
const healthEvery = 20 * time.Millisecond

// balance serves the instances at an address.
func balance(ctx context.Context, address string, instances ...string) (*balancer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	b := &balancer{}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	for _, address := range instances {
		i := &instance{address: address}
		i.healthy.Store(true)
		b.instances = append(b.instances, i)
		go i.watch(watch)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: address}) },
		Transport: &http.Transport{DialContext: b.dial, DisableKeepAlives: true},
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
		i.healthy.Store(i.answers(ctx, client))
		select {
		case <-ctx.Done():
		case <-time.After(healthEvery):
		}
	}
}

func (i *instance) answers(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.address+"/health", http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// dial connects to the next healthy instance, or to any that listens.
func (b *balancer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var failures []error
	first := b.turn.Add(1)
	for _, onlyHealthy := range []bool{true, false} {
		for n := range b.instances {
			i := b.instances[(first+uint64(n))%uint64(len(b.instances))]
			if i.healthy.Load() != onlyHealthy {
				continue
			}
			conn, err := (&net.Dialer{}).DialContext(ctx, network, i.address)
			if err == nil {
				return conn, nil
			}
			failures = append(failures, err)
		}
	}
	return nil, errors.Join(failures...)
}

// close ends the service.
func (b *balancer) close() error {
	b.stop()
	return b.server.Close()
}
