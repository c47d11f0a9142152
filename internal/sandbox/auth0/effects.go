package auth0

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

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

// The verbs of the effects that take a duration.
const (
	hangVerb       = "hang"
	hangAfterVerb  = "hang-after"
	jobSlowVerb    = "job-slow"
	searchLateVerb = "search-late"
	skewVerb       = "skew"
)

// Status answers with an HTTP status, such as 503, without any effect.
func Status(code int) Effect { return Effect("status " + strconv.Itoa(code)) }

// Hang waits before it serves the request, in real time, not the tenant's. A
// client that does not wait as long has made its request without an effect.
func Hang(d time.Duration) Effect { return Effect(hangVerb + " " + d.String()) }

// HangAfter serves the request and then waits before it answers, so that a client
// can be killed between the effect and the answer. The connection breaks after it.
func HangAfter(d time.Duration) Effect { return Effect(hangAfterVerb + " " + d.String()) }

// JobSlow lets the job that the request creates begin that much later, by the
// tenant's clock. One that does not come to its end in two hours fails.
func JobSlow(d time.Duration) Effect { return Effect(jobSlowVerb + " " + d.String()) }

// SearchLate keeps what the request changes from GET /api/v2/users for that long.
func SearchLate(d time.Duration) Effect { return Effect(searchLateVerb + " " + d.String()) }

// Skew sets the tenant's clock that far ahead, from this request on; behind, if it
// is negative; right again, if it is 0.
func Skew(d time.Duration) Effect { return Effect(skewVerb + " " + d.String()) }

// ChangeLimits changes the tenant's limits to those of a plan, from this request
// on. The buckets start full; whether windows are fixed stays as it is.
func ChangeLimits(p Plan) Effect { return Effect("limits " + p.String()) }

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
	case hangVerb, hangAfterVerb, jobSlowVerb, searchLateVerb, skewVerb:
		if _, err := time.ParseDuration(figure); err != nil {
			return fmt.Errorf("effect %q: %w", e, err)
		}
		return nil
	case "limits":
		if err := new(Plan).UnmarshalText([]byte(figure)); err != nil {
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

// duration returns the figure of the effect if its verb is the given one, or 0.
func (e Effect) duration(verb string) time.Duration {
	given, figure, _ := strings.Cut(string(e), " ")
	if given != verb {
		return 0
	}
	d, _ := time.ParseDuration(figure) // validated when it was put in
	return d
}

// before does what an effect does ahead of the request.
func (e Effect) before(t *Tenant, at endpoint, r *http.Request) {
	verb, figure, _ := strings.Cut(string(e), " ")
	switch verb {
	case hangVerb:
		if !hang(e.duration(hangVerb), r) {
			t.count(at.pattern, 0)
			panic(http.ErrAbortHandler)
		}
	case skewVerb:
		t.Skew(e.duration(skewVerb))
	case "limits":
		var p Plan
		_ = p.UnmarshalText([]byte(figure)) // validated when it was put in
		limits := p.Limits()
		limits.FixedWindow = t.Limits().FixedWindow
		t.SetLimits(limits)
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
func hang(d time.Duration, r *http.Request) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// after does what an effect does behind the request, before its answer.
func (e Effect) after(t *Tenant, at endpoint, r *http.Request) {
	hangs := strings.HasPrefix(string(e), hangAfterVerb)
	if e != ResetAfter && !hangs {
		return
	}
	t.count(at.pattern, 0)
	if hangs {
		hang(e.duration(hangAfterVerb), r)
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
