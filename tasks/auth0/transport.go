package auth0

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// requestTimeout bounds one request, from the connection to the last byte.
	requestTimeout = 30 * time.Second

	// largestAnswer is more than any answer of the Management API that is asked
	// for here, in bytes: pages hold a hundred items at most.
	largestAnswer = 8 << 20

	// tries is how often a request that changes nothing, or the same however
	// often it is sent, is sent before its failure counts.
	tries = 5

	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 8 * time.Second

	// mostWorkers bounds the workers that a plan may ask for.
	mostWorkers = 64
)

// transport carries the SDK's requests: it puts the token in, keeps the pace,
// sends again what was refused for being too fast or for an old token, and
// returns every other refusal as a *refusal and every request without an answer
// as a *networkError, in place of a response. That is not what net/http expects
// of a RoundTripper, but the SDK's errors drop what we need to know.
type transport struct {
	base   http.RoundTripper
	tokens *tokens
	pace   *pacer
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	renewed := false
	for {
		g, err := t.tokens.get(req.Context())
		if err != nil {
			return nil, err
		}
		resp, err := t.paced(req, g.token)
		if err != nil {
			return nil, err
		}
		switch {
		case resp.StatusCode == http.StatusTooManyRequests && !resp.busy():
			continue // the pacer now holds requests back until the limit is reset
		case resp.StatusCode == http.StatusUnauthorized && !renewed:
			t.tokens.drop(g.token)
			renewed = true
			continue
		case resp.StatusCode >= http.StatusBadRequest:
			return nil, readRefusal(resp.StatusCode, resp.bytes, aboutUsers(req))
		}
		resp.Body = io.NopCloser(bytes.NewReader(resp.bytes))
		return resp.Response, nil
	}
}

// paced sends the request once, when the limit allows.
func (t *transport) paced(req *http.Request, token string) (*answer, error) {
	attempt := req.Clone(req.Context())
	attempt.Header.Set("Authorization", "Bearer "+token)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		attempt.Body = body
	}
	ticket, err := t.pace.take(req.Context(), endpointGroup(req))
	if err != nil {
		return nil, err
	}
	resp, err := exchange(t.base, attempt)
	if err != nil {
		t.pace.lost(ticket)
		return nil, err
	}
	counted := resp.StatusCode
	if resp.busy() {
		counted = http.StatusConflict // no word on the rate limit
	}
	t.pace.answered(ticket, counted, resp.Header)
	return resp, nil
}

// aboutUsers tells whether a refusal may quote what belongs to a person.
func aboutUsers(req *http.Request) bool {
	return strings.HasPrefix(req.URL.Path, "/api/v2/users") || strings.HasPrefix(req.URL.Path, "/api/v2/jobs/")
}

// An answer is a response whose body has been read to its end.
type answer struct {
	*http.Response
	bytes []byte
}

// busy tells whether the tenant has refused one more import job, which it does
// with the status of a rate limit.
func (a *answer) busy() bool {
	return a.StatusCode == http.StatusTooManyRequests && bytes.Contains(a.bytes, []byte(busyText))
}

// exchange sends req and reads the whole answer, within the time that a request
// has. Any failure is a *networkError, or that of the request's context.
func exchange(base http.RoundTripper, req *http.Request) (*answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), requestTimeout)
	defer cancel()
	resp, err := base.RoundTrip(req.WithContext(ctx))
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(resp.Body, largestAnswer)); err == nil {
			return &answer{resp, body}, nil
		}
	}
	if req.Context().Err() != nil {
		return nil, context.Cause(req.Context())
	}
	return nil, &networkError{err}
}

// pause waits, or returns the cause of ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for the tenant: %w", context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}

// again calls ask, which must be harmless to repeat, until it works, is refused
// for good, or has failed a few times.
func again(ctx context.Context, ask func() error) error {
	wait := firstBackoff
	for try := 1; ; try++ {
		err := ask()
		if err == nil || ctx.Err() != nil || !transient(err) || try == tries {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}
