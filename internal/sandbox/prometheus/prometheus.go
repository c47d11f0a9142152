// Package prometheus is a stand-in for the Prometheus of a hospital: it scrapes
// what it is told to, keeps the samples of the last minutes, and answers two kinds
// of instant queries as Prometheus does. Every other query is refused.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Server scrapes and answers until it is closed.
type Server struct {
	url    string
	server *http.Server
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu     sync.Mutex
	series map[string]*series // by name and labels
}

// A series is a metric with its labels and what was scraped of it, oldest first.
type series struct {
	name    string
	labels  map[string]string
	samples []sample
}

// A sample is a value at a time. A stale one says that the target did not answer:
// https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness.
type sample struct {
	at    time.Time
	value float64
	stale bool
}

const (
	kept        = 10 * time.Minute // how long samples are kept
	lookBack    = 5 * time.Minute  // how old the newest sample of an instant selector may be, as in Prometheus
	bodyLimit   = 1 << 20          // of a scrape, in bytes
	readTimeout = 5 * time.Second
)

// Start scrapes the addresses of targets that often and answers at a free port on
// loopback. A target's samples have its address in the label instance.
func Start(ctx context.Context, every time.Duration, targets ...string) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	scraping, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{url: "http://" + listener.Addr().String(), stop: stop, series: map[string]*series{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/query", s.query)
	mux.HandleFunc("POST /api/v1/query", s.query)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: readTimeout}
	s.ended.Go(func() { _ = s.server.Serve(listener) })
	for _, target := range targets {
		s.ended.Go(func() { s.watch(scraping, target, every) })
	}
	return s, nil
}

// URL is where queries are answered, at /api/v1/query.
func (s *Server) URL() string { return s.url }

// Close ends scraping and answering.
func (s *Server) Close() error {
	s.stop()
	err := s.server.Close()
	s.ended.Wait()
	return err
}

// watch scrapes a target until ctx ends.
func (s *Server) watch(ctx context.Context, target string, every time.Duration) {
	client := &http.Client{Timeout: readTimeout}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		body, err := scrape(ctx, client, target)
		if ctx.Err() == nil {
			s.keep(time.Now(), target, body, err == nil)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func scrape(ctx context.Context, client *http.Client, target string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return body, err
}

// keep adds what a scrape has found. What the target shows no more is stale, and
// everything is where it does not answer.
func (s *Server) keep(at time.Time, target string, body []byte, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	if up {
		for key, found := range parse(body, target) {
			seen[key] = true
			if s.series[key] == nil {
				s.series[key] = &series{name: found.name, labels: found.labels}
			}
			s.series[key].add(sample{at: at, value: found.value})
		}
	}
	for key, one := range s.series {
		if one.labels["instance"] == target && !seen[key] {
			one.add(sample{at: at, stale: true})
		}
	}
}

// add adds a sample and forgets old ones.
func (s *series) add(n sample) {
	old := 0
	for old < len(s.samples) && n.at.Sub(s.samples[old].at) > kept {
		old++
	}
	s.samples = append(s.samples[old:], n)
}

// increase is by how much a counter grew between its samples in a time, and
// whether there are two at least. Where it fell it began anew from 0. Unlike
// Prometheus, it does not extrapolate to the ends of the time.
func (s *series) increase(from, to time.Time) (grown float64, known bool) {
	var last *sample
	for i, n := range s.samples {
		if n.stale || !n.at.After(from) || n.at.After(to) {
			continue
		}
		switch {
		case last == nil:
		case n.value < last.value:
			grown, known = grown+n.value, true
		default:
			grown, known = grown+n.value-last.value, true
		}
		last = &s.samples[i]
	}
	return grown, known
}

// at tells whether the series has a value at a time.
func (s *series) at(t time.Time) bool {
	for i := len(s.samples) - 1; i >= 0; i-- {
		if n := s.samples[i]; !n.at.After(t) {
			return !n.stale && t.Sub(n.at) < lookBack
		}
	}
	return false
}
