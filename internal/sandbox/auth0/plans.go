package auth0

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// A Plan is a subscription, by its rate limits as Auth0 documents them under
// "Rate Limit Configurations"
// (https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-configurations).
type Plan int

// The plans. Enterprise is a production tenant, EnterpriseTest one that is
// tagged development or staging, PrivateCloud the deployment of 100 requests a
// second. Unlimited has no limits and exists nowhere else.
const (
	Enterprise Plan = iota
	EnterpriseTest
	Essentials
	Free
	PrivateCloud
	Unlimited
)

// PlanNames are the plans' names as text, in the order of the constants.
func PlanNames() []string {
	return []string{"enterprise", "enterprise-test", "essentials", "free", "private-cloud", "unlimited"}
}

func (p Plan) String() string {
	if names := PlanNames(); p >= 0 && int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("plan %d", int(p))
}

// MarshalText returns the plan's name.
func (p Plan) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes a plan's name.
func (p *Plan) UnmarshalText(text []byte) error {
	for i, name := range PlanNames() {
		if name == string(text) {
			*p = Plan(i)
			return nil
		}
	}
	return fmt.Errorf("no plan is called %q: want one of %v", text, PlanNames())
}

// A Limit is a bucket of tokens: each request takes one, Rate come back in each
// Per, and it holds Burst. The zero value does not limit.
type Limit struct {
	Burst int
	Rate  int
	Per   time.Duration // time.Second or time.Minute
}

// limitText is a Limit as it is written.
type limitText struct {
	Burst int    `json:"burst"`
	Rate  int    `json:"rate"`
	Per   string `json:"per"` // second or minute
}

// MarshalJSON writes the limit, as in {"burst": 50, "rate": 16, "per": "second"}.
func (l Limit) MarshalJSON() ([]byte, error) {
	return json.Marshal(limitText{l.Burst, l.Rate, period(l.Per)})
}

// UnmarshalJSON reads a limit and refuses one that would let nothing pass.
func (l *Limit) UnmarshalJSON(data []byte) error {
	var written limitText
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&written); err != nil {
		return err
	}
	per := map[string]time.Duration{"second": time.Second, "minute": time.Minute}[written.Per]
	if written.Burst < 1 || written.Rate < 1 || per == 0 {
		return fmt.Errorf("a limit of burst %d and rate %d per %q: want burst and rate above 0, per second or minute",
			written.Burst, written.Rate, written.Per)
	}
	*l = Limit{written.Burst, written.Rate, per}
	return nil
}

// A Group is the limit that several endpoints share.
type Group struct {
	Name      string   `json:"name"`                // as in "Global per minute users_write group limit has been reached"
	Endpoints []string `json:"endpoints,omitempty"` // as in Requests; empty for all that are in no group before
	Limit     Limit    `json:"limit"`
}

// Limits are a tenant's rate limits. A request to the Management API takes a
// token from Global and then one from the first group that names its endpoint.
type Limits struct {
	Global         Limit   `json:"global,omitzero"`
	Groups         []Group `json:"groups,omitempty"`
	Authentication Limit   `json:"authentication,omitzero"` // everything outside of /api/v2
	Token          Limit   `json:"token,omitzero"`          // POST /oauth/token besides

	// FixedWindow refills a bucket at the top of each second or minute instead
	// of a little at a time. Auth0 describes both, on different pages.
	FixedWindow bool `json:"fixed_window"`
}

func perSecond(burst, rate int) Limit { return Limit{Burst: burst, Rate: rate, Per: time.Second} }
func perMinute(burst, rate int) Limit { return Limit{Burst: burst, Rate: rate, Per: time.Minute} }

// Limits returns the plan's limits.
func (p Plan) Limits() Limits {
	switch p {
	case Enterprise:
		return Limits{Global: perSecond(50, 16), Authentication: perSecond(100, 100)}
	case EnterpriseTest:
		return Limits{Global: perSecond(10, 2), Authentication: perSecond(100, 100)}
	case PrivateCloud:
		return Limits{Global: perSecond(50, 50), Authentication: perSecond(100, 100)}
	case Free:
		return Limits{Global: perSecond(2, 2), Authentication: perMinute(300, 300), Token: perSecond(30, 30)}
	case Essentials:
		return Limits{Groups: essentialsGroups(), Authentication: perSecond(25, 25)}
	}
	return Limits{}
}

// essentialsGroups are the buckets of the Essentials and Professional plans.
func essentialsGroups() []Group {
	return []Group{
		{"users_write", []string{"POST /api/v2/users", "PATCH /api/v2/users/{id}"}, perMinute(20, 200)},
		{"users_delete", []string{"DELETE /api/v2/users/{id}"}, perMinute(20, 200)},
		{"users_read", []string{
			"GET /api/v2/users", "GET /api/v2/users/{id}", "GET /api/v2/users-by-email",
		}, perMinute(40, 500)},
		{"connections_read", []string{"GET /api/v2/connections", "GET /api/v2/connections/{id}"}, perMinute(5, 50)},
		{"clients_read", []string{"GET /api/v2/clients", "GET /api/v2/clients/{id}"}, perMinute(5, 100)},
		{"global", nil, perMinute(10, 150)},
	}
}
