package auth0

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Fault is a disturbance of requests that match. It is repeatable: the same
// requests in the same order meet the same faults.
type Fault struct {
	// Endpoint is the operation as in [Requests], such as "POST /api/v2/users";
	// every operation if empty.
	Endpoint string `json:"endpoint"`

	// After lets this many matching requests pass first.
	After int `json:"after"`

	// Count is how many requests are disturbed; without end if 0.
	Count int `json:"count"`

	// Share of the matching requests that is disturbed, above 0 and up to 1,
	// chosen by Seed; all of them if 0.
	Share float64 `json:"share"`
	Seed  uint64  `json:"seed"`

	// Do is what happens.
	Do Effect `json:"do"`
}

// An Effect is what a fault does, written as in "status 503", "hang 10s",
// "reset-before".
type Effect string

// The effects that need no figure. Status and Hang make the others.
const (
	// ResetBefore breaks the connection before the request has had an effect.
	ResetBefore Effect = "reset-before"

	// ResetAfter breaks the connection after the request has had its effect, so
	// that the answer is lost.
	ResetAfter Effect = "reset-after"

	// TooManyRequests answers 429 as if the limit were used up.
	TooManyRequests Effect = "too-many-requests"

	// ExpiredToken lets the token of the request expire, for good.
	ExpiredToken Effect = "expired-token"

	// JobFails lets the job that the request creates fail before it does anything,
	// without a reason.
	JobFails Effect = "job-fails"

	// JobVanishes lets the job that the request creates do its work and be gone
	// when somebody asks for it.
	JobVanishes Effect = "job-vanishes"
)

// Status answers with an HTTP status, such as 503, without any effect.
func Status(code int) Effect { return Effect("status " + strconv.Itoa(code)) }

// Hang waits before it serves the request, in real time, not the tenant's. A
// client that does not wait as long has made its request without an effect.
func Hang(d time.Duration) Effect { return Effect("hang " + d.String()) }

// HangAfter serves the request and then waits before it answers, so that a client
// can be killed between the effect and the answer. The connection breaks after it.
func HangAfter(d time.Duration) Effect { return Effect("hang-after " + d.String()) }

// UnmarshalText takes an effect as it is written.
func (e *Effect) UnmarshalText(text []byte) error {
	*e = Effect(text)
	return e.validate()
}

func (e Effect) validate() error {
	verb, figure, _ := strings.Cut(string(e), " ")
	switch verb {
	case "status":
		if code, err := strconv.Atoi(figure); err != nil || code < 200 || code > 599 {
			return fmt.Errorf("effect %q: want an HTTP status", e)
		}
		return nil
	case "hang", "hang-after":
		if _, err := time.ParseDuration(figure); err != nil {
			return fmt.Errorf("effect %q: %w", e, err)
		}
		return nil
	}
	switch e {
	case ResetBefore, ResetAfter, TooManyRequests, ExpiredToken, JobFails, JobVanishes:
		return nil
	}
	return fmt.Errorf("no effect is called %q", e)
}

type fault struct {
	Fault
	seen, done int
	random     *rand.Rand
}

// Fault puts a fault in. Where several match, the first one that is due counts.
// It panics on an effect that does not exist.
func (t *Tenant) Fault(f Fault) {
	if err := f.Do.validate(); err != nil {
		panic(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, &fault{Fault: f, random: rand.New(rand.NewPCG(f.Seed, 0))})
}

// ClearFaults takes all faults out.
func (t *Tenant) ClearFaults() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// Disturbed returns how many requests the faults that are in have met.
func (t *Tenant) Disturbed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, f := range t.faults {
		n += f.done
	}
	return n
}

// takeFault returns what happens to the next request of an endpoint.
func (t *Tenant) takeFault(endpoint string) Effect {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		if f.due(endpoint) {
			return f.Do
		}
	}
	return ""
}

func (f *fault) due(endpoint string) bool {
	if f.Endpoint != "" && f.Endpoint != endpoint || f.Count > 0 && f.done >= f.Count {
		return false
	}
	f.seen++
	if f.seen <= f.After || f.Share > 0 && f.random.Float64() >= f.Share {
		return false
	}
	f.done++
	return true
}

// before does what an effect does ahead of the request.
func (e Effect) before(t *Tenant, at endpoint, r *http.Request) {
	if figure, ok := strings.CutPrefix(string(e), "hang "); ok {
		if !hang(figure, r) {
			t.count(at.pattern, 0)
			panic(http.ErrAbortHandler)
		}
	}
	switch e {
	case ResetBefore:
		t.count(at.pattern, 0)
		panic(http.ErrAbortHandler)
	case ExpiredToken:
		t.expire((&call{Request: r}).bearer())
	}
}

// hang waits, and tells whether the client has waited too.
func hang(figure string, r *http.Request) bool {
	d, _ := time.ParseDuration(figure) // validated when it was put in
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// after does what an effect does behind the request, before its answer.
func (e Effect) after(t *Tenant, at endpoint, r *http.Request) {
	figure, hangs := strings.CutPrefix(string(e), "hang-after ")
	if e != ResetAfter && !hangs {
		return
	}
	t.count(at.pattern, 0)
	if hangs {
		hang(figure, r)
	}
	panic(http.ErrAbortHandler)
}

// instead returns what an effect answers in the endpoint's place, if it does.
func (e Effect) instead(t *Tenant, pattern string) (reply, http.Header, bool) {
	open := !strings.Contains(pattern, " /api/v2/")
	if figure, ok := strings.CutPrefix(string(e), "status "); ok {
		code, _ := strconv.Atoi(figure) // validated when it was put in
		if open {
			return answer(code, oauthFailure{Error: "server_error", Description: http.StatusText(code)}), nil, true
		}
		return fail(code, http.StatusText(code), ""), nil, true
	}
	if e != TooManyRequests {
		return reply{}, nil, false
	}
	header := http.Header{
		"X-Ratelimit-Limit":     {"10"},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {strconv.FormatInt(t.now().Add(2*time.Second).Unix(), 10)},
	}
	if open {
		return oauthTooMany(), header, true
	}
	return tooMany("Global limit has been reached"), header, true
}
