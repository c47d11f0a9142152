package auth0

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// Ready looks whether an Auth0 tenant is ready for users to be moved into it: a
// token is given, with all the scopes that the plan needs; the connection is a
// database that some application may use; the roles are there; and the mails
// that Auth0 would send to every new user are off. Everything that is not ready
// is reported at once.
//
// Besides the plan's own scopes, the application needs read:connections,
// read:roles and read:email_templates.
type Ready struct {
	Access

	// The name of the database connection that users will be moved into.
	Connection string `with:"connection,required"`

	// The Management API scopes that the plan needs, such as create:users.
	Scopes []string `with:"scopes"`

	// The names of the roles that the tenant must have.
	Roles []string `with:"roles"`
}

// A Readiness is what a tenant that is ready looks like.
type Readiness struct {
	Domain       string `json:"domain"`        // the tenant's
	ConnectionID string `json:"connection_id"` // of the connection
	Applications int64  `json:"applications"`  // for which the connection is enabled
	Scopes       int64  `json:"scopes"`        // that the token was granted
	Roles        int64  `json:"roles"`         // that the tenant has
	RateLimit    int64  `json:"rate_limit"`    // requests at once, as the tenant reports it; 0 if it reports none
}

// templates are the mails that Auth0 sends to a new account by itself
// (https://auth0.com/docs/customize/email/email-templates). Welcome mails go out
// even to addresses that are created as confirmed.
func templates() []string { return []string{"verify_email", "welcome_email"} }

// Validate checks the configuration offline.
func (t *Ready) Validate() error {
	err := t.Access.validate()
	if t.Connection == "" {
		err = together(err, errors.New("connection is empty"))
	}
	return err
}

// Check asks the tenant for a token.
func (t *Ready) Check(ctx context.Context, _ *task.Env) error {
	api, _, err := open(t.Access)
	if err != nil {
		return err
	}
	_, err = api.Scopes(ctx)
	return err
}

// Run looks at everything and reports all that is not ready.
func (t *Ready) Run(ctx context.Context, _ *task.Env) (Readiness, error) {
	r := Readiness{Domain: t.Domain}
	api, pace, err := open(t.Access)
	if err != nil {
		return r, err
	}
	scopes, err := api.Scopes(ctx)
	if err != nil {
		return r, err // nothing else could be asked
	}
	r.Scopes = int64(len(scopes))
	errs := []error{t.checkScopes(scopes)}
	conn, _, err := standing(ctx, api, t.Connection, nil)
	r.ConnectionID, r.Applications = conn.id, int64(conn.applications)
	errs = append(errs, err)
	roles, err := api.Roles(ctx)
	r.Roles = int64(len(roles))
	errs = append(errs, err)
	if err == nil {
		errs = append(errs, t.checkRoles(roles))
	}
	errs = append(errs, checkMails(ctx, api)...)
	_, _, limit := pace.used()
	r.RateLimit = int64(limit)
	return r, together(errs...)
}

func (t *Ready) checkScopes(granted []string) error {
	missing := grant{scopes: granted}.missing(t.Scopes)
	if len(missing) == 0 {
		return nil
	}
	return task.Hint(fmt.Errorf("the application lacks the scopes %s", strings.Join(missing, ", ")),
		"add them to its client grant on the Management API")
}

func (t *Ready) checkRoles(roles map[string]string) error {
	missing := slices.DeleteFunc(slices.Clone(t.Roles), func(name string) bool { return roles[name] != "" })
	if len(missing) == 0 {
		return nil
	}
	return task.Hint(fmt.Errorf("the tenant has no role %s", strings.Join(missing, ", ")),
		"make the roles, or correct their names: they are case-sensitive")
}

func checkMails(ctx context.Context, api tenant) []error {
	var errs []error
	for _, name := range templates() {
		on, err := api.SendsMail(ctx, name)
		if on {
			err = task.Hint(fmt.Errorf("e-mail template %s is on: every user who is moved would get a mail", name),
				"switch the template off for the time of the migration (Branding > Email Templates)")
		}
		errs = append(errs, err)
	}
	return errs
}
