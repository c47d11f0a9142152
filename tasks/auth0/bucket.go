package auth0

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

const (
	// unlimited is the limit of endpoints that report none.
	unlimited = -1

	// mostTrust is the part of the refill that is counted on before the tenant
	// has confirmed it. Counting on too little costs nothing: requests that are
	// not taken at once stay in the tenant's bucket, and its next answer says so.
	mostTrust = 0.9

	// window is the time over which the refill is averaged, in seconds. It is
	// what it takes to notice that others use more or less.
	window = 8.0

	// probeAfter is how long after its last answer an empty bucket is tried
	// again, when nothing better is known.
	probeAfter = time.Second
)

// A bucket is what is known of one of the tenant's rate limits.
type bucket struct {
	limit     int       // the bucket's size, 0 when not known yet
	remaining int       // by the last answer
	seen      time.Time // when that came
	sent      time.Time // when the request that it answers was sent
	pending   int       // requests without an answer yet
	blocked   time.Time // nothing is sent before
	refusals  int       // in a row
	trust     float64   // see mostTrust; halved by a refusal, slowly regained

	// The refill is learned from supply: what is left plus what we took. It grows
	// by the refill and shrinks by what others take.
	taken   int     // requests that were let through
	supply  int     // at seen
	gained  float64 // growth of supply, ageing over window
	elapsed float64 // the seconds in which it grew, ageing alike
}

// A limit is what the headers of one answer say.
type limit struct {
	limit, remaining int
	reset            time.Time // when requests are added, by this machine's clock
}

// readLimit reads the headers, and whether there are any. Without
// x-ratelimit-reset the time is zero.
func readLimit(header http.Header, now time.Time) (limit, bool) {
	size, err := strconv.Atoi(header.Get("X-RateLimit-Limit"))
	left, err2 := strconv.Atoi(header.Get("X-RateLimit-Remaining"))
	l := limit{limit: size, remaining: left}
	if seconds, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		l.reset = time.Unix(seconds, 0).Add(-skew(header, now))
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
		l.reset = now.Add(time.Duration(seconds) * time.Second)
	}
	return l, err == nil && err2 == nil && size > 0
}

// skew returns by how much the tenant's clock is ahead of ours. Its Date header
// has whole seconds, so that small differences are none.
func skew(header http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || date.Sub(now).Abs() < 2*time.Second {
		return 0
	}
	return date.Sub(now)
}

// wait returns how long it takes until a request may be sent, 0 for at once.
func (b *bucket) wait(now time.Time, share float64) time.Duration {
	if d := b.blocked.Sub(now); d > 0 {
		return d
	}
	switch {
	case b.limit == unlimited:
		return 0
	case b.limit == 0 && b.pending == 0:
		return 0
	case b.limit == 0:
		return requestTimeout // the first answer tells the limit, or its loss wakes us
	}
	refill := b.trust * b.refill()
	left := min(float64(b.remaining)+refill*now.Sub(b.seen).Seconds(), float64(b.limit))
	lacking := b.reserve(share) + 1 + float64(b.pending) - left
	if lacking <= 0 {
		return 0
	}
	probe := requestTimeout
	if b.pending == 0 {
		probe = b.seen.Add(probeAfter).Sub(now)
	}
	if refill > 0 {
		probe = min(probe, time.Duration(lacking/refill*float64(time.Second))+time.Millisecond)
	}
	return max(probe, 0)
}

// reserve returns how many requests of the bucket are left to others.
func (b *bucket) reserve(share float64) float64 {
	return min(math.Ceil((1-share)*float64(b.limit)), float64(b.limit-1))
}

// refill returns how many requests a second come back to us, 0 when not known.
// One request is taken off, since what we see is rounded.
func (b *bucket) refill() float64 {
	if b.elapsed < 0.5 {
		return 0
	}
	return max(0, (b.gained-1)/b.elapsed)
}

// report takes in the headers of an answer that is not a refusal.
func (b *bucket) report(now, sent time.Time, l limit) {
	b.taken++
	b.refusals = 0
	b.trust = min(mostTrust, b.trust*1.005)
	if l.limit != b.limit {
		b.limit, b.gained, b.elapsed = l.limit, 0, 0
		b.seen = time.Time{}
	}
	if sent.Before(b.sent) {
		// An older request's answer: what it says is no news unless it is bad.
		l.remaining = min(l.remaining, b.remaining)
	} else {
		b.sent = sent
	}
	b.learn(now, l.remaining)
}

// refused takes in a 429: nothing is sent until the limit is reset. The answers
// to requests that were sent before we knew teach nothing new.
func (b *bucket) refused(now, sent time.Time, l limit) {
	if sent.After(b.seen) || b.refusals == 0 {
		b.trust /= 2
		b.refusals++
	}
	least := now.Add(min(50*time.Millisecond<<min(b.refusals, 10), 30*time.Second))
	if l.reset.IsZero() {
		least = now.Add(min(time.Second<<min(b.refusals-1, 6), time.Minute))
	}
	b.blocked = later(b.blocked, later(least, earlier(l.reset, now.Add(2*time.Minute))))
	if b.limit > 0 {
		b.learn(now, 0)
	}
}

// learn notes what is left, and by how much the supply has grown.
func (b *bucket) learn(now time.Time, remaining int) {
	supply := remaining + b.taken
	if dt := now.Sub(b.seen).Seconds(); !b.seen.IsZero() && b.remaining < b.limit-1 {
		// A bucket that was full could not show what was added.
		age := math.Exp(-dt / window)
		b.gained = b.gained*age + float64(supply-b.supply)
		b.elapsed = b.elapsed*age + dt
	}
	b.remaining, b.seen, b.supply = remaining, now, supply
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
