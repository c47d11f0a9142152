package prometheus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/pattern"
)

const selector = `([A-Za-z_:][\w:]*)\s*(?:\{([^}]*)\})?`

var (
	question = pattern.Lazy(`^\s*(sum|count)\s*\(\s*(increase|count_over_time)\s*\(\s*` + selector +
		`\s*\[\s*(\w+)\s*\]\s*(?:offset\s+(\w+)\s*)?\)\s*\)\s*$`)
	matcherList  = pattern.Lazy(`^\s*(?:` + matcher + `\s*(?:,\s*` + matcher + `\s*)*,?)?\s*$`)
	durationText = pattern.Lazy(`^(\d+)(ms|s|m|h|d|w|y)$`)
)

const matcher = `[A-Za-z_]\w*\s*!?=\s*"(?:[^"\\]|\\.)*"`

// known is what a refusal says.
const known = `this stand-in answers sum or count of increase or count_over_time, such as sum(increase(NAME{label="value"}[RANGE] offset TIME)), alone`

// query is GET or POST /api/v1/query.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	if t := r.FormValue("time"); t != "" {
		refuse(w, "the parameter time is not known: "+known)
		return
	}
	now := time.Now()
	value, found, err := s.evaluate(r.FormValue("query"), now)
	if err != nil {
		refuse(w, err.Error())
		return
	}
	result := []any{}
	if found {
		at := json.Number(strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', 3, 64))
		result = append(result, map[string]any{
			"metric": map[string]string{}, "value": []any{at, strconv.FormatFloat(value, 'f', -1, 64)},
		})
	}
	reply(w, http.StatusOK, map[string]any{
		"status": "success", "data": map[string]any{"resultType": "vector", "result": result},
	})
}

func refuse(w http.ResponseWriter, why string) {
	reply(w, http.StatusBadRequest, map[string]string{"status": "error", "errorType": "bad_data", "error": why})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone is no error of ours
}

// evaluate answers a query, and tells whether any series fits.
func (s *Server) evaluate(query string, now time.Time) (value float64, found bool, err error) {
	match := question().FindStringSubmatch(query)
	if match == nil {
		return 0, false, errors.New("cannot parse the query: " + known)
	}
	over, function, name, labels := match[1], match[2], match[3], match[4]
	span, err := duration(match[5])
	if err == nil && match[6] != "" {
		var offset time.Duration
		offset, err = duration(match[6])
		now = now.Add(-offset)
	}
	if err != nil {
		return 0, false, err
	}
	err = s.each(name, labels, func(one *series) {
		samples := one.within(now.Add(-span), now)
		v, known := float64(len(samples)), len(samples) > 0
		if function == "increase" {
			v, known = increase(samples)
		}
		if over == "count" {
			v = 1
		}
		if known {
			value, found = value+v, true
		}
	})
	return value, found, err
}

// each goes through the series that a selector fits.
func (s *Server) each(name, matchers string, do func(*series)) error {
	if !matcherList().MatchString(matchers) {
		return fmt.Errorf("cannot parse the labels {%s}: %s", matchers, known)
	}
	conditions := label().FindAllStringSubmatch(matchers, -1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.series {
		fits := one.name == name
		for _, condition := range conditions {
			fits = fits && (one.labels[condition[1]] == unescape(condition[3])) == (condition[2] == "=")
		}
		if fits {
			do(one)
		}
	}
	return nil
}

// units are PromQL's: https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

func duration(text string) (time.Duration, error) {
	match := durationText().FindStringSubmatch(strings.TrimSpace(text))
	if match == nil {
		return 0, fmt.Errorf("cannot parse the time %q: %s", text, known)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("the time %q is out of bounds", text)
	}
	return time.Duration(n) * units[match[2]], nil
}
