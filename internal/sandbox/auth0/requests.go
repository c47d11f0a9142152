package auth0

import "maps"

// Requests counts requests by operation, such as "GET /api/v2/users/{id}", and
// status. A connection that a fault or the client broke counts as status 0.
type Requests map[string]map[int]int

// Total returns how many requests there were of an operation, of all if it is
// empty.
func (r Requests) Total(endpoint string) int {
	n := 0
	for key, statuses := range r {
		if endpoint != "" && endpoint != key {
			continue
		}
		for _, count := range statuses {
			n += count
		}
	}
	return n
}

// Status returns how many requests of all operations got a status.
func (r Requests) Status(status int) int {
	n := 0
	for _, statuses := range r {
		n += statuses[status]
	}
	return n
}

// Requests returns the counts since the start or the last ResetRequests.
func (t *Tenant) Requests() Requests {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := Requests{}
	for key, statuses := range t.requests {
		out[key] = maps.Clone(statuses)
	}
	return out
}

// ResetRequests begins to count anew.
func (t *Tenant) ResetRequests() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = Requests{}
}

func (t *Tenant) count(endpoint string, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.requests[endpoint] == nil {
		t.requests[endpoint] = map[int]int{}
	}
	t.requests[endpoint][status]++
}
