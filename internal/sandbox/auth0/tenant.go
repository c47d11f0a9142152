// Package auth0 is an Auth0 tenant that runs in this process: the Management API
// v2, the token endpoint and the documents that a verifier of tokens reads, with
// the state in memory.
//
// It behaves as the real service does where a program that moves users can tell:
// status codes and bodies, closed request bodies, scopes, rate limits with their
// headers, asynchronous jobs, search that lags behind, mails that go out by
// themselves. What it answers follows Auth0's public documentation
// (https://auth0.com/docs) and the traffic recorded in the test data of
// github.com/auth0/go-auth0.
//
//	tenant := auth0.NewTenant(auth0.Config{Plan: auth0.Free, Seed: auth0.MedLogistics()})
//	server, err := tenant.Start(dir) // TLS on loopback, dir/ca.pem to trust
//	id, secret := tenant.ManagementClient()
//
// Everything that takes time (jobs, builds, search, tokens) goes by the tenant's
// clock, [Config].Now, and is worked out when somebody looks: no goroutine runs
// in the background.
package auth0

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a tenant is like. The zero value is an empty tenant with the
// limits of an enterprise plan.
type Config struct {
	// Plan chooses the rate limits. Limits, if set, replaces them.
	Plan   Plan
	Limits *Limits

	// Domain is the tenant's name, as in "medlog.eu.auth0.com". Without one it is
	// the address that [Tenant.Start] listens on, or else the host of the request.
	Domain string

	// Seed is what the tenant holds from the start, and again after [Tenant.Reset].
	Seed Seed

	// Control has the tenant serve its control API, under /emulator/.
	Control bool

	// Now is the tenant's clock, time.Now by default.
	Now func() time.Time

	// SearchDelay is how far GET /api/v2/users lags behind; none by default.
	SearchDelay time.Duration

	// Jobs is how long jobs take; none by default.
	Jobs JobSpeed

	// ActionBuild is how long an Action stays pending, and then again building,
	// before it is built; none by default.
	ActionBuild time.Duration

	// ConnectionDelete is how long the deletion of a connection goes on, during
	// which its name is not free; none by default.
	ConnectionDelete time.Duration
}

// A Tenant is an Auth0 tenant. It is an http.Handler and safe for concurrent use.
type Tenant struct {
	config Config
	mux    *http.ServeMux

	// address is where the domain comes from, if from a listener. One for plain
	// HTTP does not take it from one for TLS.
	address string

	// key signs tokens. It is made when the first one is needed, because that
	// takes longer than everything else that a test may want of a tenant.
	key func() *signingKey

	skew atomic.Int64 // of the clock, in nanoseconds

	// mu guards everything below, and the timing in config. A request holds it while it acts, never while
	// it reads a body, waits, signs or writes.
	mu sync.Mutex
	state
	domain   string
	throttle *throttle
	faults   []*fault
	requests Requests
	tokens   map[string]*accessToken
	lag      time.Duration // how late the search index sees what the current request changes
}

// state is what a seed describes and requests change.
type state struct {
	users       *userStore
	roles       []*role
	clients     *documents
	grants      *documents
	connections *documents
	deletions   []deletion
	apis        *documents
	actions     *actionStore
	templates   *documents
	settings    document
	jobs        []*job
	mails       []Mail
	logins      map[string]*loginRecord
	management  string // client id for ManagementClient

	credentials   map[string]*documents // of applications
	organizations []*organization
	methods       map[string][]document // authentication methods of users
	scim          map[string]document   // configurations of connections, as are the next ones
	scimTokens    map[string]*documents
	keys          map[string]map[string]document // current, next and previous
}

func newState() state {
	return state{
		users:       newUserStore(),
		clients:     newDocuments("client_id"),
		grants:      newDocuments("id"),
		connections: newDocuments("id"),
		apis:        newDocuments("id"),
		actions:     newActionStore(),
		templates:   newDocuments("template"),
		settings:    defaultSettings(),
		logins:      map[string]*loginRecord{},
		credentials: map[string]*documents{},
		methods:     map[string][]document{},
		scim:        map[string]document{},
		scimTokens:  map[string]*documents{},
		keys:        map[string]map[string]document{},
	}
}

// NewTenant returns a tenant as c describes it. It panics if the seed
// contradicts itself, which is a mistake of the program, not of its user.
func NewTenant(c Config) *Tenant {
	t, err := OpenTenant(c)
	if err != nil {
		panic(err)
	}
	return t
}

// OpenTenant is NewTenant for a seed that a user wrote: the error says what in it
// contradicts what.
func OpenTenant(c Config) (*Tenant, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	limits := c.Plan.Limits()
	if c.Limits != nil {
		limits = *c.Limits
	}
	t := &Tenant{
		config:   c,
		mux:      http.NewServeMux(),
		key:      sync.OnceValue(newSigningKey),
		domain:   c.Domain,
		throttle: newThrottle(limits),
		requests: Requests{},
		tokens:   map[string]*accessToken{},
		state:    newState(),
	}
	for _, e := range endpoints() {
		t.mux.Handle(e.pattern, t.serve(e))
	}
	if c.Control {
		t.serveControl()
	}
	t.config.Seed = c.Seed.identified()
	if err := t.plant(t.config.Seed); err != nil {
		return nil, fmt.Errorf("seed the tenant: %w", err)
	}
	return t, nil
}

// ServeHTTP answers one request.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) { t.mux.ServeHTTP(w, r) }

// now is the time by the tenant's clock.
func (t *Tenant) now() time.Time { return t.config.Now().Add(time.Duration(t.skew.Load())) }

// Domain returns the tenant's name, "" as long as it has none.
func (t *Tenant) Domain() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.domain
}

// SetDomain renames the tenant, for a listener that is not [Tenant.Start]'s.
func (t *Tenant) SetDomain(domain string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.domain = domain
}

// Alphabets of Auth0's ids.
const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	hexadecimal  = "0123456789abcdef"
)

// randomID returns n random characters of alphabet. Ids need not be secret.
func randomID(alphabet string, n int) string {
	id := make([]byte, n)
	for i := range id {
		id[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(id)
}

// uuid returns a random id in the form of a UUID of version 4.
func uuid() string {
	h := randomID(hexadecimal, 30)
	return h[:8] + "-" + h[8:12] + "-4" + h[12:15] + "-a" + h[15:18] + "-" + h[18:30]
}

// timestamp writes a time as the Management API does.
func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
