package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/medlogistics/phasegate/internal/fetch"
	"github.com/medlogistics/phasegate/runner/task"
)

// A reply is the body of an answer, as
// https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview has it.
type reply struct {
	Status string `json:"status"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
}

// values are what an answer holds.
type values struct {
	samples  []sample
	warnings []string
}

// A sample is a value at a time: [1435781451.781, "1"].
type sample struct {
	at    time.Time
	value float64
}

// UnmarshalJSON reads the pair.
func (s *sample) UnmarshalJSON(data []byte) error {
	var seconds float64
	var text string
	pair := []any{&seconds, &text}
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return errors.New("a sample is not a pair of a time and a value")
	}
	value, err := strconv.ParseFloat(text, 64) // NaN, +Inf and -Inf too
	if err != nil {
		return fmt.Errorf("%q is not a value", text)
	}
	*s = sample{time.UnixMilli(int64(seconds * 1000)), value}
	return nil
}

// read returns the values of an answer, or why there are none.
func read(answer fetch.Answer) (values, error) {
	var r reply
	err := json.Unmarshal(answer.Body, &r)
	switch {
	case err == nil && r.Status == "error":
		return values{}, task.Hint(fmt.Errorf("the query is refused: %s: %s", r.ErrorType, r.Error), "try the query in the server's own page")
	case answer.Status != http.StatusOK:
		return values{}, task.Hint(fmt.Errorf("it answers with status %d", answer.Status),
			"check that url is the server's address, with the prefix that it may have, and headers if it wants a login")
	case err != nil || r.Status != "success":
		return values{}, task.Hint(errors.New("it does not answer as Prometheus does"), "check that url is the address of a server with Prometheus's HTTP API")
	}
	v := values{warnings: r.Warnings}
	v.samples, err = r.samples()
	return v, err
}

func (r *reply) samples() ([]sample, error) {
	switch r.Data.ResultType {
	case "scalar":
		var one sample
		if err := json.Unmarshal(r.Data.Result, &one); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		return []sample{one}, nil
	case "vector":
		var series []struct {
			Value *sample `json:"value"`
		}
		if err := json.Unmarshal(r.Data.Result, &series); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		var all []sample
		for _, s := range series {
			if s.Value == nil {
				return nil, task.Hint(errors.New("the answer has a histogram, which has no value to compare"), "write a query for a number, such as histogram_count(...)")
			}
			all = append(all, *s.Value)
		}
		return all, nil
	}
	return nil, task.Hint(fmt.Errorf("the answer is a %s, which has no value to compare", r.Data.ResultType),
		"write a query for a number at one time: take the range out, or put a function such as increase() around it")
}

// take puts the values into the receipt.
func (m *Measured) take(v values) {
	m.Series = len(v.samples)
	first := true
	for _, s := range v.samples {
		m.At = s.at.UTC().Format(time.RFC3339)
		if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
			m.Unclear++
			continue
		}
		if first {
			m.Lowest, m.Highest, first = s.value, s.value, false
		}
		m.Lowest, m.Highest = min(m.Lowest, s.value), max(m.Highest, s.value)
	}
}
