package auth0

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A pacer lets requests go as fast as the tenant's rate limits allow, and no
// faster. It knows no plan: every answer says how many requests are left
// (x-ratelimit-remaining of x-ratelimit-limit), and from how that changes it
// learns how fast they come back, whoever else is using them up.
// See https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy.
type pacer struct {
	share float64 // the part of a limit that may be drawn on, above 0 to 1

	mu        sync.Mutex
	groups    map[string]*bucket // by group of endpoints
	limits    map[int]*bucket    // by the limit that it reported
	latest    *bucket            // that answered last
	changed   chan struct{}      // closed and replaced whenever an answer came
	requests  int64              // that were answered, the refused ones included
	throttled int64              // of these, refused with 429
	limit     int                // the smallest limit seen, 0 for none
}

func newPacer(share float64) *pacer {
	return &pacer{
		share:   share,
		groups:  map[string]*bucket{},
		limits:  map[int]*bucket{},
		changed: make(chan struct{}),
	}
}

// A ticket is the right to send one request.
type ticket struct {
	bucket *bucket
	group  string
	sent   time.Time
	number int // of our requests to the bucket
	beside int // how many were under way when it was sent
}

// endpointGroup names the limit that a request falls under, on plans where not
// all endpoints share one
// (https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-configurations).
func endpointGroup(req *http.Request) string {
	path, _ := strings.CutPrefix(req.URL.Path, "/api/v2/")
	resource, rest, _ := strings.Cut(path, "/")
	switch {
	case strings.Contains(rest, "/"):
		return "other"
	case resource == "users" && req.Method != http.MethodGet:
		return "users " + req.Method
	case req.Method == http.MethodGet && (resource == "users" || resource == "connections" || resource == "clients"):
		return resource
	}
	return "other"
}

// take waits until a request of group may be sent.
func (p *pacer) take(ctx context.Context, group string) (ticket, error) {
	for {
		t, wait, changed := p.try(group)
		if t.bucket != nil {
			return t, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ticket{}, fmt.Errorf("wait for the tenant's rate limit: %w", context.Cause(ctx))
		case <-timer.C:
		case <-changed:
			timer.Stop()
		}
	}
}

// try returns a ticket, or else how long to wait unless something changes.
func (p *pacer) try(group string) (ticket, time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bucket(group)
	now := time.Now()
	if wait := b.wait(now, p.share); wait > 0 {
		return ticket{}, wait, p.changed
	}
	t := b.send(now)
	t.group = group
	return t, 0, nil
}

// bucket returns the bucket of a group. One that has not answered yet goes by the
// bucket that answered last: on some plans there is only one for all.
func (p *pacer) bucket(group string) *bucket {
	if p.groups[group] != nil {
		return p.groups[group]
	}
	if p.latest == nil {
		p.latest = newBucket()
	}
	return p.latest
}

// answered hands the ticket back with what the tenant said.
func (p *pacer) answered(t ticket, status int, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	now := time.Now()
	b := t.bucket
	b.pending--
	seen, ok := readLimit(header, now)
	switch {
	case status == http.StatusTooManyRequests:
		p.throttled++
		b.refuse(now, t, seen)
	case ok:
		if own := p.own(t.group, b, seen.limit); own != b {
			t = own.adopt(t)
			b = own
		}
		b.report(now, t, seen)
		p.latest = b
	case b.limit == 0:
		b.limit = unlimited
	}
	if ok && (p.limit == 0 || seen.limit < p.limit) {
		p.limit = seen.limit
	}
	p.wake()
}

// own returns the bucket of a group that has reported limit, which it went by b
// for. Groups with the same limit are taken to share one: where they do not, we
// are a little slower than allowed; where they do, they do not overdraw it
// together.
func (p *pacer) own(group string, b *bucket, limit int) *bucket {
	known := p.groups[group] == b || b.limit == 0
	switch {
	case p.limits[limit] != nil:
		b = p.limits[limit]
	case known: // the first answer of all, or the limit has changed
		delete(p.limits, b.limit)
	default:
		b = newBucket()
	}
	p.limits[limit], p.groups[group] = b, b
	return b
}

// lost hands the ticket of a request back that got no answer.
func (p *pacer) lost(t ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.bucket.pending--
	t.bucket.taken++ // it may have been counted
	p.wake()
}

func (p *pacer) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// used returns how many requests were answered, how many of these were refused
// for being too fast, and the smallest limit that the tenant has reported.
func (p *pacer) used() (requests, throttled int64, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, p.throttled, p.limit
}
