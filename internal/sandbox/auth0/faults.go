package auth0

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Fault is a disturbance of requests that match. It is repeatable: the same
// requests in the same order meet the same faults.
type Fault struct {
	// Endpoint is the operation as in [Requests], such as "POST /api/v2/users";
	// every operation if empty.
	Endpoint string `json:"endpoint,omitempty"`

	// After lets this many matching requests pass first.
	After int `json:"after,omitempty"`

	// Count is how many requests are disturbed; without end if 0.
	Count int `json:"count,omitempty"`

	// Share of the matching requests that is disturbed, above 0 and up to 1,
	// chosen by Seed; all of them if 0.
	Share float64 `json:"share,omitempty"`
	Seed  uint64  `json:"seed,omitempty"`

	// Do is what happens.
	Do Effect `json:"do"`
}

// A FaultReport is a fault with what has come of it.
type FaultReport struct {
	Fault
	Seen int `json:"seen"` // requests that matched
	Met  int `json:"met"`  // of which so many were disturbed
}

type fault struct {
	Fault
	seen, done int
	random     *rand.Rand
}

// validate tells what is wrong with a fault that somebody wrote.
func (f Fault) validate() error {
	known := func(e endpoint) bool { return e.pattern == f.Endpoint }
	switch {
	case f.Endpoint != "" && !slices.ContainsFunc(endpoints(), known):
		return fmt.Errorf("no endpoint is called %q: want one as in GET /emulator/endpoints", f.Endpoint)
	case f.After < 0 || f.Count < 0:
		return errors.New("after and count are 0 or more")
	case f.Share < 0 || f.Share > 1:
		return errors.New("share is above 0 and up to 1")
	}
	return f.Do.validate()
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

// Faults returns the faults that are in, in their order.
func (t *Tenant) Faults() []FaultReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]FaultReport, 0, len(t.faults))
	for _, f := range t.faults {
		out = append(out, FaultReport{Fault: f.Fault, Seen: f.seen, Met: f.done})
	}
	return out
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
