package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/prometheus"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/web"
)

func metricSpec() task.Spec {
	return task.Gate("web/metric", &web.Metric{Timeout: 10 * time.Second})
}

// metric returns the gate with its defaults, asking the server at that address.
func metric(url string) *web.Metric {
	m := metricSpec().New().Config().(*web.Metric)
	m.URL, m.Query = task.URL(url), "sum(increase(used_total[30d]))"
	return m
}

func bound(v float64) *float64 { return &v }

// answers serves one answer to every query, as the API of Prometheus writes it.
func answers(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prometheus/api/v1/query" || r.FormValue("query") == "" || r.FormValue("tenant") != "1" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server
}

func vector(values ...string) string {
	var series []string
	for _, v := range values {
		series = append(series, `{"metric":{"instance":"a"},"value":[1435781451.781,"`+v+`"]}`)
	}
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}`
}

func TestAMetricOpensOnlyForWhatIsKnownAndWithinBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		max, min   *float64
		want       string // in the error, "" for an open gate
	}{
		{"at the most", vector("0") + "}", bound(0), nil, ""},
		{"at the least", vector("1.5") + "}", nil, bound(1.5), ""},
		{"between", vector("-2", "3e2") + "}", bound(300), bound(-2), ""},
		{"a scalar", `{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"0"]}}`, bound(0), nil, ""},
		{"remarks on the query", vector("0") + `,"infos":["metric might not be a counter"]}`, bound(0), nil, ""},
		{"one series too high", vector("0", "0.5") + "}", bound(0), nil, "is 0.5, more than 0"},
		{"one series too low", vector("2", "1") + "}", nil, bound(2), "is 1, less than 2"},
		{"no series", vector() + "}", bound(0), nil, "no series fits"},
		{"not a number", vector("NaN") + "}", bound(0), nil, "1 of 1 values"},
		{"one not a number", vector("0", "NaN") + "}", bound(0), nil, "1 of 2 values"},
		{"too low for any bound", vector("-Inf") + "}", bound(0), nil, "1 of 1 values"},
		{"too high for any bound", vector("+Inf") + "}", nil, bound(0), "1 of 1 values"},
		{"incomplete", vector("0") + `,"warnings":["a store did not answer"]}`, bound(0), nil, "incomplete: a store did not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := metric(answers(t, 200, c.body).URL + "/prometheus/?tenant=1")
			m.Max, m.Min = c.max, c.min
			receipt, err := m.Run(t.Context(), tasktest.Env(t))
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if c.want != "" && task.HintOf(err) == "" {
				t.Error("there is no hint")
			}
			if _, err := json.Marshal(receipt); err != nil || receipt.Query != m.Query {
				t.Errorf("receipt %+v, error %v", receipt, err)
			}
		})
	}
}

func TestWhatIsNoAnswerIsNoOpenGate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"a bad query", 400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error"}`, "bad_data: 1:5: parse error"},
		{"an error as success", 200, `{"status":"error","errorType":"timeout","error":"too slow"}`, "timeout: too slow"},
		{"a login page", 401, "<html>", "status 401"},
		{"another page", 200, "<html>", "does not answer as Prometheus"},
		{"half an answer", 200, vector("0"), "does not answer as Prometheus"},
		{"another status", 200, `{"status":"odd","data":{"resultType":"vector","result":[]}}`, "does not answer as Prometheus"},
		{"a range", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "is a matrix"},
		{"a histogram", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}`, "a histogram"},
		{"no value", 200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,null]}]}}`, "not a value"},
		{"a number for a value", 200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,0]}]}}`, "not a pair"},
		{"half a value", 200, `{"status":"success","data":{"resultType":"scalar","result":[1]}}`, "not a pair"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := metric(answers(t, c.status, c.body).URL + "/prometheus?tenant=1")
			m.Max = bound(0)
			_, err := m.Run(t.Context(), tasktest.Env(t))
			if err == nil || errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	server := answers(t, 200, "")
	server.Close()
	m := metric(server.URL)
	m.Max = bound(0)
	if _, err := m.Run(t.Context(), tasktest.Env(t)); err == nil || errors.Is(err, task.ErrClosed) {
		t.Errorf("nobody answers: %v", err)
	}
}

// The gate against something that really scrapes: it closes when the counter
// rises and opens again when that is long enough ago.
func TestAMetricFollowsWhatAServiceCounts(t *testing.T) {
	t.Parallel()
	used := make(chan int, 1)
	used <- 0
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := <-used
		used <- n
		_, _ = io.WriteString(w, "used_total "+string(rune('0'+n))+"\n")
	}))
	defer service.Close()
	server, err := prometheus.Start(t.Context(), 5*time.Millisecond, service.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	m := metric(server.URL())
	m.Query, m.Max = "sum(increase(used_total[1s]))", bound(0)
	for _, open := range []bool{true, false, true} {
		if !open {
			<-used
			used <- 2
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			_, err := m.Run(t.Context(), tasktest.Env(t))
			if err == nil && open || !open && errors.Is(err, task.ErrClosed) && strings.Contains(err.Error(), "more than 0") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("open is to be %v: %v", open, err)
			}
		}
	}
}

func TestMetricKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := answers(t, 200, vector("0")+"}")
	tasktest.Conform(t, tasktest.Case{
		Spec: metricSpec(),
		Configure: func(config any) {
			m := config.(*web.Metric)
			m.URL, m.Query, m.Max = task.URL(server.URL+"/prometheus?tenant=1"), "up", bound(0)
			m.Headers = map[string]redact.Secret{"Authorization": redact.NewSecret("Bearer hush-hush")}
		},
		Secrets: []string{"hush-hush"},
	})
}

func TestAMetricThatCannotBeJudgedIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*web.Metric){
		"no address":        func(m *web.Metric) { m.URL = "" },
		"no query":          func(m *web.Metric) { m.Query = " " },
		"no bound":          func(m *web.Metric) { m.Max = nil },
		"bounds that cross": func(m *web.Metric) { m.Min = bound(1) },
		"no time":           func(m *web.Metric) { m.Timeout = 0 },
	} {
		m := metric("http://localhost:9090")
		m.Max = bound(0)
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		if change(m); m.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
