package auth0

import (
	"fmt"
	"time"
)

// A Method is how users are moved.
type Method string

// The methods. Auto chooses one of the others.
const (
	Auto   Method = "auto"
	Create Method = "create"
	Import Method = "import"
)

// Words returns the three.
func (Method) Words() []string { return []string{string(Auto), string(Create), string(Import)} }

const (
	// longCreate is how long making users one by one may take before jobs are
	// preferred. Up to that it is the better way: an answer for each user at once.
	longCreate = 10 * time.Minute

	// jobsOverhead is what jobs take whatever they hold.
	jobsOverhead = time.Minute
)

// sustained returns how many users a second may be made where a rate limit of
// that size is reported, by Auth0's table of limits; where the table is not clear
// it is the slower one
// (https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-configurations).
func sustained(limit int) float64 {
	switch {
	case limit <= 0:
		return 16 // none is reported
	case limit == 2:
		return 2 // free
	case limit == 5 || limit == 20 || limit == 40:
		return 200.0 / 60 // essentials and professional
	case limit <= 10:
		return 2 // enterprise, not production
	}
	return 16 // enterprise
}

// inJobs returns how many users a second two jobs make side by side: 400,000 an
// hour on an enterprise tenant, a tenth of that on a free one, and four tenths on
// other production tenants, as Auth0's staff says
// (https://community.auth0.com/t/112785, https://community.auth0.com/t/140781).
func inJobs(limit int) float64 {
	switch rate := sustained(limit); {
	case rate >= 16:
		return 111
	case rate > 2:
		return 44
	}
	return 11
}

// choose returns the method, and why it is that one.
func (t *ImportUsers) choose(users int64, limit int) (Method, string) {
	seconds := func(rate float64) time.Duration {
		return time.Duration(float64(users) / rate * float64(time.Second))
	}
	create, jobs := seconds(sustained(limit)*float64(t.Share)), jobsOverhead+seconds(inJobs(limit))
	estimate := fmt.Sprintf("one by one %d users take about %s at a rate limit of %d", users, about(create), limit)
	switch {
	case t.Method != Auto:
		return t.Method, "the plan says so"
	case t.Users.PasswordHash != "":
		return Import, "password hashes move only in jobs"
	case create <= longCreate:
		return Create, estimate + ", and every user has an answer at once"
	case jobs < create:
		return Import, estimate + ", in jobs about " + about(jobs)
	}
	return Create, estimate + ", in jobs no less"
}

func about(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}

// decide chooses how this run moves users.
func (m *mover) decide() {
	_, _, limit := m.pace.used()
	m.method, m.why = m.task.choose(m.users-m.already, limit)
	m.env.Log.Info("chose how to move users", "method", string(m.method), "because", m.why)
}
