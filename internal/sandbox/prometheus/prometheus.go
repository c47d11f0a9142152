// Package prometheus is a stand-in for the Prometheus of a hospital: it scrapes
// what it is told to, keeps the samples of the last minutes, and answers two kinds
// of instant queries as Prometheus does. Every other query is refused.
package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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

// A sample is a value at a time.
type sample struct {
	at    time.Time
	value float64
}

const (
	kept        = 10 * time.Minute // how long samples are kept
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
		if err == nil {
			s.keep(time.Now(), target, body)
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

// keep adds what a scrape has found.
func (s *Server) keep(at time.Time, target string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, found := range parse(body, target) {
		if s.series[key] == nil {
			s.series[key] = &series{name: found.name, labels: found.labels}
		}
		s.series[key].add(sample{at: at, value: found.value})
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

// within are the samples after from, up to to.
func (s *series) within(from, to time.Time) []sample {
	after := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(s.samples, t, func(n sample, t time.Time) int { return cmp.Or(n.at.Compare(t), -1) })
		return i
	}
	return s.samples[after(from):after(to)]
}

// increase is by how much a counter grew in its samples, and whether there are
// two at least. Where it fell it began anew from 0. Unlike Prometheus, it does not
// extrapolate to the ends of the time.
func increase(samples []sample) (grown float64, known bool) {
	for i := 1; i < len(samples); i++ {
		last, value := samples[i-1].value, samples[i].value
		if value < last {
			last = 0
		}
		grown += value - last
	}
	return grown, len(samples) > 1
}
