package auth0

import (
	"errors"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Blueprint is what a tenant has to look like: the keys that auth0/tenant and
// auth0/drift have. What it does not mention is nobody's business.
type Blueprint struct {
	// The applications, by their names. The first one is the one that users log in
	// to: its client id is in the receipt by itself.
	Applications []Application `with:"applications"`

	// The APIs, by their identifiers.
	APIs []API `with:"apis"`

	// The roles, by their names.
	Roles []Role `with:"roles"`

	// The Actions, by their names. They are bound behind those that are bound
	// already.
	Actions []Action `with:"actions"`

	// The databases of users, by their names.
	Databases []Database `with:"databases"`

	// Whether e-mail templates are on, such as { welcome_email: false }. One that
	// was never set up counts as off.
	Templates map[string]bool `with:"templates"`
}

// An Application may ask for tokens (a client).
type Application struct {
	Name        string   `with:"name,required"`                  // its name, by which it is found
	Description string   `with:"description"`                    // free text, up to 140 characters
	Type        string   `with:"type,required"`                  // spa, native, regular_web or non_interactive
	GrantTypes  []string `with:"grant_types,required"`           // such as authorization_code and refresh_token
	AuthMethod  string   `with:"auth_method"`                    // at the token endpoint: none, client_secret_post or client_secret_basic
	Algorithm   string   `with:"algorithm" default:"RS256"`      // that its ID tokens are signed with
	Callbacks   []string `with:"callbacks"`                      // addresses that a login may lead to
	LogoutURLs  []string `with:"logout_urls"`                    // addresses that a logout may lead to
	WebOrigins  []string `with:"web_origins"`                    // origins that may renew tokens silently
	Origins     []string `with:"origins"`                        // origins that may call from a browser (CORS)
	Conformant  bool     `with:"oidc_conformant" default:"true"` // that it keeps to OpenID Connect
	Grants      []Scopes `with:"grants"`                         // what it may ask for in its own name (client grants)
}

// Scopes are scopes of one API.
type Scopes struct {
	API    string   `with:"api,required"`    // its identifier; management is the tenant's own Management API
	Scopes []string `with:"scopes,required"` // such as read:users
}

// An API takes tokens (a resource server).
type API struct {
	Name             string            `with:"name,required"`                   // for people
	Identifier       string            `with:"identifier,required"`             // the audience of its tokens, by which it is found
	Scopes           map[string]string `with:"scopes"`                          // what they mean, by the scope; others are left alone
	Algorithm        string            `with:"algorithm" default:"RS256"`       // that its tokens are signed with
	SkipConsent      bool              `with:"skip_consent" default:"true"`     // for the tenant's own applications
	OfflineAccess    bool              `with:"offline_access"`                  // refresh tokens are given
	TokenLifetime    time.Duration     `with:"token_lifetime" default:"24h"`    // of access tokens
	WebTokenLifetime time.Duration     `with:"web_token_lifetime" default:"2h"` // of access tokens for browsers
}

// A Role is what users are given.
type Role struct {
	Name        string   `with:"name,required"`        // by which it is found
	Description string   `with:"description,required"` // for people
	Permissions []Scopes `with:"permissions"`          // what it allows; others are left alone
}

// An Action runs when users log in.
type Action struct {
	Name    string `with:"name,required"`                // by which it is found
	Trigger string `with:"trigger" default:"post-login"` // when it runs
	Version string `with:"version" default:"v3"`         // of the trigger
	Runtime string `with:"runtime" default:"node22"`     // that runs it
	Code    string `with:"code,required"`                // in JavaScript
}

// A Database is a connection whose users the tenant keeps.
type Database struct {
	Name           string   `with:"name,required"`                         // by which it is found
	PasswordPolicy string   `with:"password_policy" default:"fair"`        // none, low, fair, good or excellent; a stricter one is left alone
	SignUp         bool     `with:"sign_up"`                               // people may register themselves
	Usernames      bool     `with:"usernames"`                             // users need a name beside the address
	BruteForce     bool     `with:"brute_force_protection" default:"true"` // too many wrong passwords block
	Applications   []string `with:"applications"`                          // names of those that may use it; others are left alone
}

// policies are Auth0's password policies, the weakest first.
func policies() []string { return []string{"none", "low", "fair", "good", "excellent"} }

// validate checks the blueprint offline.
func (b Blueprint) validate() error {
	var errs []error
	seen := map[string]bool{}
	unique := func(kind, name string) {
		if name == "" {
			errs = append(errs, fmt.Errorf("%s without a name", kind))
		}
		if seen[kind+name] {
			errs = append(errs, fmt.Errorf("%s %s stands there twice", kind, name))
		}
		seen[kind+name] = true
	}
	for _, a := range b.Applications {
		unique("application", a.Name)
	}
	for _, a := range b.APIs {
		unique("API", a.Identifier)
	}
	for _, r := range b.Roles {
		unique("role", r.Name)
	}
	for _, a := range b.Actions {
		unique("Action", a.Name)
	}
	for _, d := range b.Databases {
		unique("database", d.Name)
		if rank(d.PasswordPolicy) < 0 {
			errs = append(errs, fmt.Errorf("database %s: there is no password policy %q", d.Name, d.PasswordPolicy))
		}
		for _, name := range d.Applications {
			if !seen["application"+name] {
				errs = append(errs, task.Hint(fmt.Errorf("database %s names application %s, which is not among applications", d.Name, name),
					"declare the application too, or correct its name"))
			}
		}
	}
	if len(seen)+len(b.Templates) == 0 {
		errs = append(errs, errors.New("nothing is declared"))
	}
	return together(errs...)
}

// rank returns the place of a password policy, -1 if there is no such one.
func rank(policy string) int {
	for i, name := range policies() {
		if name == policy {
			return i
		}
	}
	return -1
}
