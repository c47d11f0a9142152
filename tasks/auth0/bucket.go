package auth0

import (
	"math"
	"net/http"
	"slices"
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
	// again, when nothing better is known and the tenant names no later time.
	probeAfter = time.Second
)

// A bucket is what is known of one of the tenant's rate limits.
//
// What it reckons with is the supply: all requests that the tenant has allowed us
// so far, those still left included. It grows as requests come back, and shrinks
// as others use them up. An answer that says "remaining 7" to our request number
// 40 puts it at 47. Requests that are under way together may have been counted
// in another order than they were sent in, so that the lowest of their answers is
// what holds.
type bucket struct {
	limit    int       // the bucket's size, 0 when not known yet
	taken    int       // requests that were let through
	pending  int       // requests without an answer yet
	recent   []int     // the supply by the last answers, the newest last
	supply   int       // the lowest of those that count
	seen     time.Time // when the last answer came
	reset    time.Time // when more are added, by that answer
	blocked  time.Time // nothing is sent before
	refusals int       // in a row
	refused  time.Time // when the last one came
	trust    float64   // see mostTrust; halved by a refusal, slowly regained

	gained  float64 // growth of supply, ageing over window
	elapsed float64 // the seconds in which it grew, ageing alike
	full    bool    // the last answer left nothing to be added
}

func newBucket() *bucket { return &bucket{trust: mostTrust} }

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
	left := min(float64(b.supply-b.taken)+refill*now.Sub(b.seen).Seconds(), float64(b.limit))
	lacking := b.reserve(share) + 1 + float64(b.pending) - left
	if lacking <= 0 {
		return 0
	}
	probe := requestTimeout
	if b.pending == 0 {
		probe = later(b.reset, b.seen.Add(probeAfter)).Sub(now)
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
// Half a request is taken off, since what we see is rounded.
func (b *bucket) refill() float64 {
	if b.elapsed < 0.5 {
		return 0
	}
	return max(0, (b.gained-0.5)/b.elapsed)
}

// send notes that a request is sent, and returns its ticket.
func (b *bucket) send(now time.Time) ticket {
	b.pending++
	return ticket{bucket: b, sent: now, number: b.taken + b.pending, beside: b.pending - 1}
}

// adopt returns a ticket of another bucket as one of this one's.
func (b *bucket) adopt(t ticket) ticket {
	t.bucket, t.number, t.beside = b, b.taken+b.pending+1, b.pending
	return t
}

// report takes in the headers of an answer that is not a refusal.
func (b *bucket) report(now time.Time, t ticket, l limit) {
	now = t.sent.Add(now.Sub(t.sent) / 2) // about when the tenant counted it
	b.taken++
	b.refusals = 0
	b.trust = min(mostTrust, b.trust*1.005)
	if l.limit != b.limit {
		b.limit = l.limit
		b.forget()
	}
	supply := l.remaining + t.number
	if t.sent.Before(b.refused) {
		// The numbers of requests sent before a refusal count that one too.
		supply = min(supply, b.supply)
	}
	b.recent = append(b.recent, supply)
	b.recent = b.recent[max(0, len(b.recent)-1-t.beside):]
	b.learn(now, slices.Min(b.recent))
	b.full = l.remaining >= l.limit-1
	b.reset = earlier(l.reset, now.Add(2*time.Minute))
}

// refuse takes in a 429: nothing is sent until the limit is reset. Of several
// that were sent before we knew, only the first teaches anything.
func (b *bucket) refuse(now time.Time, t ticket, l limit) {
	if b.refusals == 0 || t.sent.After(b.refused) {
		b.trust /= 2
		b.refusals++
	}
	least := now.Add(min(50*time.Millisecond<<min(b.refusals, 10), 30*time.Second))
	if l.reset.IsZero() {
		least = now.Add(min(time.Second<<min(b.refusals-1, 6), time.Minute))
	}
	b.blocked = later(b.blocked, later(least, earlier(l.reset, now.Add(2*time.Minute))))
	b.refused = now
	b.recent = b.recent[:0]
	b.learn(now, min(b.supply, b.taken+b.pending))
	b.full = false
}

// learn notes the supply, and by how much it has grown. A bucket that was full
// could not show what would have been added.
func (b *bucket) learn(now time.Time, supply int) {
	if dt := now.Sub(b.seen).Seconds(); !b.seen.IsZero() && !b.full {
		age := math.Exp(-dt / window)
		b.gained = b.gained*age + float64(supply-b.supply)
		b.elapsed = b.elapsed*age + dt
	}
	b.supply, b.seen = supply, now
}

// forget drops what was learned: the limit has changed.
func (b *bucket) forget() {
	b.gained, b.elapsed, b.seen, b.recent = 0, 0, time.Time{}, nil
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
