package auth0

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A throttle holds the buckets of a tenant's limits.
type throttle struct {
	limits         Limits
	global         bucket
	groups         []bucket
	authentication bucket
	token          bucket
}

func newThrottle(limits Limits) *throttle {
	h := &throttle{limits: limits, groups: make([]bucket, len(limits.Groups))}
	fill := func(b *bucket, l Limit) { *b = bucket{limit: l, tokens: float64(l.Burst), fixed: limits.FixedWindow} }
	fill(&h.global, limits.Global)
	fill(&h.authentication, limits.Authentication)
	fill(&h.token, limits.Token)
	for i, g := range limits.Groups {
		fill(&h.groups[i], g.Limit)
	}
	return h
}

// SetLimits changes the tenant's limits. The buckets start full.
func (t *Tenant) SetLimits(limits Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.throttle = newThrottle(limits)
}

// Limits returns the tenant's limits.
func (t *Tenant) Limits() Limits {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.throttle.limits
}

// SetPlan changes the tenant's limits to those of a plan.
func (t *Tenant) SetPlan(plan Plan) { t.SetLimits(plan.Limits()) }

// A bucket is the state of a Limit.
type bucket struct {
	limit  Limit
	tokens float64
	at     time.Time // the last refill
	fixed  bool
}

// step is the grain of refilling. Auth0: limits per second are refilled by the
// millisecond, limits per minute by the second; with fixed windows, all of it at
// the top of the second or minute.
func (b *bucket) step() time.Duration {
	switch {
	case b.fixed:
		return b.limit.Per
	case b.limit.Per <= time.Second:
		return time.Millisecond
	default:
		return time.Second
	}
}

func (b *bucket) refill(now time.Time) {
	top := now.Truncate(b.step())
	if b.at.IsZero() || top.Before(b.at) {
		// The first request, or a clock that was set back.
		b.at = top
		return
	}
	grown := float64(b.limit.Rate) * float64(top.Sub(b.at)) / float64(b.limit.Per)
	b.tokens = min(float64(b.limit.Burst), b.tokens+grown)
	b.at = top
}

// take takes a token if there is one.
func (b *bucket) take(now time.Time) bool {
	if b.limit.Burst == 0 {
		return true
	}
	b.refill(now)
	// A token that was put together from fractions may lack the last bit.
	if b.tokens < 1-1e-9 {
		return false
	}
	b.tokens--
	return true
}

// reset returns when the next token is there.
func (b *bucket) reset() time.Time {
	missing := float64(int(b.tokens+1e-9)+1) - b.tokens
	wait := time.Duration(missing * float64(b.limit.Per) / float64(b.limit.Rate))
	step := b.step()
	return b.at.Add((wait + step - 1).Truncate(step))
}

// header returns the x-ratelimit headers. The reset is in whole seconds, so a
// client that waits for it is never early.
func (b *bucket) header() http.Header {
	if b == nil || b.limit.Burst == 0 {
		return nil
	}
	seconds := b.reset().Add(time.Second - 1).Unix()
	return http.Header{
		"X-Ratelimit-Limit":     {strconv.Itoa(b.limit.Burst)},
		"X-Ratelimit-Remaining": {strconv.Itoa(int(b.tokens + 1e-9))},
		"X-Ratelimit-Reset":     {strconv.FormatInt(seconds, 10)},
	}
}

// admit takes what a request costs. The headers are those of the bucket that
// refused it, or else of the emptiest one that it went through.
func (h *throttle) admit(c *call) (http.Header, reply, bool) {
	if !strings.Contains(c.endpoint.pattern, " /api/v2/") {
		return h.admitAuthentication(c)
	}
	if !h.global.take(c.now) {
		return h.global.header(), tooMany("Global limit has been reached"), false
	}
	tightest := &h.global
	if i := h.group(c.endpoint.pattern); i >= 0 {
		b := &h.groups[i]
		if !b.take(c.now) {
			message := "Global per " + period(b.limit.Per) + " " + h.limits.Groups[i].Name + " group limit has been reached"
			return b.header(), tooMany(message), false
		}
		if tightest.limit.Burst == 0 || b.tokens < tightest.tokens {
			tightest = b
		}
	}
	return tightest.header(), reply{}, true
}

func (h *throttle) group(pattern string) int {
	return slices.IndexFunc(h.limits.Groups, func(g Group) bool {
		return len(g.Endpoints) == 0 || slices.Contains(g.Endpoints, pattern)
	})
}

// admitAuthentication does the same for the Authentication API, whose errors
// have another form.
func (h *throttle) admitAuthentication(c *call) (http.Header, reply, bool) {
	if strings.Contains(c.endpoint.pattern, " /_") {
		return nil, reply{}, true // download links lead to storage, not to the tenant
	}
	buckets := []*bucket{&h.authentication}
	if c.endpoint.pattern == tokenEndpoint {
		buckets = append(buckets, &h.token)
	}
	for _, b := range buckets {
		if !b.take(c.now) {
			return b.header(), oauthTooMany(), false
		}
	}
	return h.authentication.header(), reply{}, true
}

func period(d time.Duration) string {
	if d == time.Minute {
		return "minute"
	}
	return "second"
}

func tooMany(message string) reply {
	return fail(http.StatusTooManyRequests, message, "too_many_requests")
}

func oauthTooMany() reply {
	return answer(http.StatusTooManyRequests, oauthFailure{
		Error: "access_denied", Description: "Too Many Requests",
		URI: "https://auth0.com/docs/policies/rate-limits",
	})
}
