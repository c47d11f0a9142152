package auth0

import "time"

// A Duration is a time.Duration that is written as in "1m30s".
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration as time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// Timing is how long what a tenant does behind a request takes, and what its clock
// shows.
type Timing struct {
	SearchDelay      Duration `json:"search_delay"`      // how far GET /api/v2/users lags behind
	JobStart         Duration `json:"job_start"`         // how long a job waits before it begins
	JobPerUser       Duration `json:"job_per_user"`      // what an import or export takes for each user
	ActionBuild      Duration `json:"action_build"`      // how long an Action stays pending, and then again building
	ConnectionDelete Duration `json:"connection_delete"` // how long a deleted connection's name is not free
	ClockSkew        Duration `json:"clock_skew"`        // how far the tenant's clock is ahead; behind, if negative
}

// Timing returns the tenant's timing.
func (t *Tenant) Timing() Timing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Timing{
		SearchDelay: Duration(t.config.SearchDelay), JobStart: Duration(t.config.Jobs.Start),
		JobPerUser: Duration(t.config.Jobs.PerUser), ActionBuild: Duration(t.config.ActionBuild),
		ConnectionDelete: Duration(t.config.ConnectionDelete),
		ClockSkew:        Duration(t.skew.Load()),
	}
}

// SetTiming changes the tenant's timing. Jobs that are under way go on by the new
// one.
func (t *Tenant) SetTiming(to Timing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	t.config.SearchDelay, t.config.ActionBuild = time.Duration(to.SearchDelay), time.Duration(to.ActionBuild)
	t.config.ConnectionDelete = time.Duration(to.ConnectionDelete)
	t.config.Jobs = JobSpeed{Start: time.Duration(to.JobStart), PerUser: time.Duration(to.JobPerUser)}
	t.skew.Store(int64(to.ClockSkew))
}

// Skew sets the tenant's clock ahead, or behind if d is negative: what it issues,
// what it says in headers, and when it takes something for expired.
func (t *Tenant) Skew(d time.Duration) { t.skew.Store(int64(d)) }
