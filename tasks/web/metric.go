package web

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Metric asks a server of metrics one question, in PromQL, and is open when the
// answer is within the bounds: that nobody has used an API key for thirty days,
// or that a rate of errors is low. Prometheus answers, and whatever has its HTTP
// API: Mimir, Thanos, VictoriaMetrics.
//
// It never opens for want of knowledge. An answer without a series keeps it
// closed: the server may not know the metric, or not watch the service at all.
// So does one that is not a number, or that the server calls incomplete. Where no
// series means none, such as for a counter that begins with its first event, the
// query can say so: "QUERY or vector(0)"; then another gate should hold that the
// service is watched, such as one on up.
//
// If the answer has several series, each must be within the bounds. A server that
// cannot be asked fails the run, which goes on when it is called again.
type Metric struct {
	URL     task.URL                 `with:"url,required"`   // where the server is, such as https://prometheus.example.com or http://mimir:8080/prometheus
	Query   string                   `with:"query,required"` // what is asked, in PromQL
	Max     *float64                 `with:"max"`            // the most that the answer may be; default no bound
	Min     *float64                 `with:"min"`            // the least that it may be; default no bound
	Timeout time.Duration            `with:"timeout,limit"`  // when to stop waiting for the answer; default 10s
	Headers map[string]redact.Secret `with:"headers"`        // request headers by name, such as Authorization or X-Scope-OrgID
	CAFile  string                   `with:"ca_file"`        // PEM file of authorities to trust beside the system's
}

// Measured is what the server answered.
type Measured struct {
	Query   string  `json:"query"`   // what was asked
	At      string  `json:"at"`      // for which moment, by the server's clock, RFC 3339 in UTC; "" if there is no series
	Series  int     `json:"series"`  // number of series in the answer
	Lowest  float64 `json:"lowest"`  // the lowest value, 0 if there is none
	Highest float64 `json:"highest"` // the highest value, 0 if there is none
	Unclear int     `json:"unclear"` // number of values that are not a number, or infinite
}

// Validate holds that the question can have a right and a wrong answer.
func (m *Metric) Validate() error {
	if err := task.CheckURL(string(m.URL)); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	switch {
	case strings.TrimSpace(m.Query) == "":
		return task.Hint(errors.New("query is empty"), "write what to ask, such as sum(increase(requests_total[1d]))")
	case m.Max == nil && m.Min == nil:
		return task.Hint(errors.New("there is no bound, so that the gate could not be closed"), "set max, min or both")
	case m.Max != nil && m.Min != nil && *m.Max < *m.Min:
		return fmt.Errorf("max is %v, less than min, which is %v", *m.Max, *m.Min)
	case m.Timeout <= 0:
		return errors.New("timeout is a duration above zero, such as 10s")
	}
	return nil
}

// Check asks as Run does.
func (m *Metric) Check(ctx context.Context, env *task.Env) error {
	_, err := m.Run(ctx, env)
	return err
}

// Run asks and judges the answer.
func (m *Metric) Run(ctx context.Context, _ *task.Env) (Measured, error) {
	receipt := Measured{Query: m.Query}
	client, err := fetch.New(m.CAFile)
	if err != nil {
		return receipt, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Timeout, fmt.Errorf("no answer within %s", m.Timeout))
	defer cancel()
	answer, err := client.Get(ctx, m.address(), m.Headers)
	if err != nil {
		return receipt, err
	}
	values, err := read(answer)
	if err != nil {
		return receipt, fmt.Errorf("ask %s: %w", fetch.Shown(string(m.URL)), err)
	}
	receipt.take(values)
	return receipt, m.judge(receipt, values.warnings)
}

// address is that of the answer: an instant query, evaluated at the server's own
// time. See https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
func (m *Metric) address() string {
	u, err := url.Parse(string(m.URL))
	if err != nil {
		return string(m.URL) // Validate has refused it
	}
	query := u.Query()
	query.Set("query", m.Query)
	u = u.JoinPath("api/v1/query")
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u.String()
}

// judge opens the gate only for values that are there, known and within bounds.
func (m *Metric) judge(r Measured, warnings []string) error {
	switch {
	case len(warnings) > 0:
		return task.Hint(fmt.Errorf("%w: the server calls its answer to %s incomplete: %s", task.ErrClosed, m.Query, strings.Join(warnings, "; ")),
			"see why in the server's log, and go on with the run when it answers in full")
	case r.Series == 0:
		return task.Hint(fmt.Errorf("%w: no series fits %s, so nothing is known", task.ErrClosed, m.Query),
			"check the metric's name and labels, and that the server watches the service; if no series means none, write: QUERY or vector(0)")
	case r.Unclear > 0:
		return task.Hint(fmt.Errorf("%w: %d of %d values of %s are not a number", task.ErrClosed, r.Unclear, r.Series, m.Query),
			"a division by zero gives one: ask for the two numbers in two gates")
	case m.Max != nil && r.Highest > *m.Max:
		return task.Hint(fmt.Errorf("%w: %s is %v, more than %v", task.ErrClosed, m.Query, r.Highest, *m.Max),
			"go on with the run when it is lower: nothing is lost by waiting")
	case m.Min != nil && r.Lowest < *m.Min:
		return task.Hint(fmt.Errorf("%w: %s is %v, less than %v", task.ErrClosed, m.Query, r.Lowest, *m.Min),
			"go on with the run when it is higher: nothing is lost by waiting")
	}
	return nil
}
