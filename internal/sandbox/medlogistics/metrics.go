package medlogistics

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// buckets are the upper bounds of the histogram of response times, in seconds.
var buckets = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5}

// metrics count what the alerting rules watch, in the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
type metrics struct {
	pool *pgxpool.Pool

	mu       sync.Mutex
	requests map[requestLabels]int
	attempts map[attemptLabels]int
	bucket   [len(buckets)]int // not cumulative
	seconds  float64
	total    int
}

type requestLabels struct {
	route  string // of http.ServeMux, "" if there is none
	status int
}

type attemptLabels struct{ method, result string }

func newMetrics(pool *pgxpool.Pool) *metrics {
	m := &metrics{pool: pool, requests: map[requestLabels]int{}, attempts: map[attemptLabels]int{}}
	// A counter that is not there yet cannot be told from one that nobody asks for:
	// https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
	for _, method := range []string{byKey, byToken} {
		m.attempts[attemptLabels{method, "ok"}] = 0
	}
	return m
}

// count counts each request by its route and status, and times it.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		m.observe(requestLabels{r.Pattern, recorder.status}, time.Since(began).Seconds())
	})
}

func (m *metrics) observe(labels requestLabels, seconds float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[labels]++
	m.seconds += seconds
	m.total++
	if i, _ := slices.BinarySearch(buckets[:], seconds); i < len(buckets) {
		m.bucket[i]++
	}
}

// authenticated counts an attempt to be let in. A failure of the database is
// none of the caller's.
func (m *metrics) authenticated(method string, err error) {
	result := "ok"
	var refused refusal
	switch {
	case errors.As(err, &refused):
		result = "failed"
	case err != nil:
		result = "error"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts[attemptLabels{method, result}]++
}

func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(m.render())
}

func (m *metrics) render() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b bytes.Buffer
	family := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	family("medlogistics_http_requests_total", "counter", "Requests by route and status.")
	sortedLines(&b, m.requests, func(l requestLabels, n int) string {
		return fmt.Sprintf("medlogistics_http_requests_total{route=%q,status=\"%d\"} %d\n", l.route, l.status, n)
	})
	family("medlogistics_auth_attempts_total", "counter", "Attempts to be let in, by method (api_key, jwt, none) and result (ok, failed, error).")
	sortedLines(&b, m.attempts, func(l attemptLabels, n int) string {
		return fmt.Sprintf("medlogistics_auth_attempts_total{method=%q,result=%q} %d\n", l.method, l.result, n)
	})
	const duration = "medlogistics_http_request_duration_seconds"
	family(duration, "histogram", "Time to the end of the response.")
	sum := 0
	for i, bound := range buckets {
		sum += m.bucket[i]
		fmt.Fprintf(&b, "%s_bucket{le=\"%s\"} %d\n", duration, strconv.FormatFloat(bound, 'g', -1, 64), sum)
	}
	fmt.Fprintf(&b, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", duration, m.total, duration, m.seconds, duration, m.total)
	family("medlogistics_db_connections", "gauge", "Connections to the database, by state.")
	stat := m.pool.Stat()
	fmt.Fprintf(&b, "medlogistics_db_connections{state=\"idle\"} %d\nmedlogistics_db_connections{state=\"used\"} %d\n",
		stat.IdleConns(), stat.AcquiredConns())
	return b.Bytes()
}

// sortedLines writes one line for each counter, in a stable order.
func sortedLines[K comparable](b *bytes.Buffer, counters map[K]int, line func(K, int) string) {
	var lines []string
	for labels, n := range counters {
		lines = append(lines, line(labels, n))
	}
	slices.Sort(lines)
	for _, text := range lines {
		b.WriteString(text)
	}
}

// statusRecorder remembers the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
