package prometheus

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A service has a counter of two series, and can be made to fail or to begin anew.
type service struct {
	used    atomic.Int64
	refused atomic.Bool
	asked   atomic.Int64
}

func (s *service) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.asked.Add(1)
	if s.refused.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "# HELP logins_total Logins.\n# TYPE logins_total counter\n"+
		"logins_total{method=\"key\",who=\"a \\\"b\\\" }\"} %d\nlogins_total{method=\"token\"} 7 1700000000000\nbroken{\n", s.used.Load())
}

// seen waits until what the service says now is kept twice: one scrape may be under
// way, and the one after the two begins when they are kept.
func (s *service) seen(t *testing.T) {
	t.Helper()
	enough := s.asked.Load() + 4
	for deadline := time.Now().Add(20 * time.Second); s.asked.Load() < enough; time.Sleep(every) {
		if time.Now().After(deadline) {
			t.Fatal("the service is not scraped")
		}
	}
}

const every = 5 * time.Millisecond

func start(t *testing.T) (*Server, *service) {
	t.Helper()
	target := &service{}
	site := httptest.NewServer(target)
	t.Cleanup(site.Close)
	s, err := Start(t.Context(), every, site.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, target
}

// ask returns the value of a query's one series, "" if there is none, or the
// error of the answer.
func ask(t *testing.T, s *Server, query string) string {
	t.Helper()
	response, err := http.Get(s.URL() + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value []any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if answer.Status != "success" {
		return fmt.Sprint(response.StatusCode, " ", answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

// becomes waits until the query has that answer.
func becomes(t *testing.T, s *Server, query, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(every) {
		if got = ask(t, s, query); got == want {
			return
		}
	}
	t.Errorf("%s is %q, not %q", query, got, want)
}

func TestWhatWasScrapedIsCounted(t *testing.T) {
	t.Parallel()
	s, target := start(t)
	target.used.Store(3)
	target.seen(t)
	becomes(t, s, `sum(increase(logins_total{method="token"}[1m]))`, "0")
	becomes(t, s, `count(count_over_time(logins_total[1m]))`, "2")
	before := ask(t, s, `sum(increase(logins_total{method="key"}[1h]))`) // whether the first scrape saw the 3
	target.used.Add(4)
	if want := map[string]string{"0": "4", "3": "7"}[before]; want != "" {
		becomes(t, s, `sum(increase(logins_total{method="key"}[1h]))`, want)
	} else {
		t.Errorf("the increase was %q", before)
	}
	becomes(t, s, `sum( increase( logins_total { method = "token" , } [ 1d ] ) )`, "0")
	becomes(t, s, `sum(increase(logins_total{method!="token"}[20ms]))`, "0") // long ago by then
	for query, want := range map[string]string{
		`sum(increase(logins_total{who="a \"b\" }"}[1m]))`:               "400 ", // a brace in a label is not read
		`count(increase(logins_total{method="key",method="token"}[1m]))`: "",
		`count(count_over_time(other_total[1m]))`:                        "",
		`count(count_over_time(logins_total[1h] offset 1h))`:             "",
	} {
		if got := ask(t, s, query); got != want && (want == "" || !strings.HasPrefix(got, want)) {
			t.Errorf("%s is %q, not %q", query, got, want)
		}
	}
	becomes(t, s, `count(count_over_time(logins_total[1h] offset 10ms))`, "2")
}

func TestACounterThatBeginsAnewDoesNotFall(t *testing.T) {
	t.Parallel()
	s, target := start(t)
	target.used.Store(100)
	target.seen(t)
	const query = `sum(increase(logins_total[1h]))`
	before := ask(t, s, query) // 0 or 100: whether the first scrape saw the 100
	target.used.Store(5)
	becomes(t, s, query, map[string]string{"0": "5", "100": "105"}[before])
}

func TestATargetThatDoesNotAnswerIsNotThere(t *testing.T) {
	t.Parallel()
	s, target := start(t)
	becomes(t, s, `count(count_over_time(logins_total[1m]))`, "2")
	target.refused.Store(true)
	becomes(t, s, `count(count_over_time(logins_total[20ms]))`, "")
	target.refused.Store(false)
	becomes(t, s, `count(count_over_time(logins_total[1m]))`, "2")
}

func TestOtherQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	for _, query := range []string{
		"", "up", "logins_total", "sum(logins_total)", "sum(rate(logins_total[1m]))", "sum(increase(logins_total[1m])) > 0",
		"sum(increase(logins_total))", "max(increase(logins_total[1m]))", "sum by (method) (increase(logins_total[1m]))",
		`sum(increase(logins_total{method=~"k.*"}[1m]))`, "sum(increase(logins_total[0s]))", "sum(increase(logins_total[1x]))",
		"count(logins_total offset 1h)", "count(increase(logins_total[1m] offset -1h))", "sum(increase(logins_total[1m])) or vector(0)",
	} {
		if got := ask(t, s, query); !strings.HasPrefix(got, "400 ") {
			t.Errorf("%s is answered with %q", query, got)
		}
	}
	response, err := http.Get(s.URL() + "/api/v1/query?query=count(increase(logins_total[1m]))&time=1")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 400 {
		t.Errorf("another time is answered with %d", response.StatusCode)
	}
}
