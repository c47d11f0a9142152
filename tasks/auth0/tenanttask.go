package auth0

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Tenant makes an Auth0 tenant what the plan says it should be: applications and
// their grants, APIs, roles and their permissions, databases and who may use them,
// Actions, e-mail templates.
//
// Each is found by its name or identifier, compared, and made or mended; two of
// the same name are refused. Nothing is ever deleted. What is in the tenant besides
// stays, but for the lists of an application's addresses and grant types and the
// scopes of its grants, which are what the plan says; the application that this
// step itself comes as keeps its other scopes. Actions are built before they are
// deployed, and bound behind those that are bound already. Secrets of applications
// that are made stay in the tenant: fetch them there.
//
// A second run changes nothing. A run that was interrupted is finished by the next.
//
// The application needs the scopes create, read and update of clients,
// client_grants, resource_servers, roles, connections and actions, and read and
// update of email_templates: those for what the plan declares.
type Tenant struct {
	Access
	Blueprint

	// How long the tenant may take to build an Action.
	Wait time.Duration `with:"wait"`
}

// Built is what the tenant looks like afterwards.
type Built struct {
	Domain   string            `json:"domain"`    // the tenant's
	ClientID string            `json:"client_id"` // of the first application declared, such as the front end
	Clients  map[string]string `json:"clients"`   // client ids by the applications' names
	Audience string            `json:"audience"`  // identifier of the first API declared
	Made     int64             `json:"made"`      // things that were missing
	Changed  int64             `json:"changed"`   // things that were different
	Changes  []string          `json:"changes"`   // what was missing or different
}

// Drift compares an Auth0 tenant with what the plan says it should be, as
// auth0/tenant would, and changes nothing. It fails when they differ, and names
// every difference.
//
// The application needs the scopes read:clients, read:client_grants,
// read:resource_servers, read:roles, read:connections, read:actions and
// read:email_templates: those for what the plan declares.
type Drift struct {
	Access
	Blueprint
}

// Drifted is how a tenant differs from the plan.
type Drifted struct {
	Domain      string            `json:"domain"`      // the tenant's
	ClientID    string            `json:"client_id"`   // of the first application declared, empty if it is missing
	Clients     map[string]string `json:"clients"`     // client ids by the applications' names
	Differences int64             `json:"differences"` // how many there are
	Changes     []string          `json:"changes"`     // what auth0/tenant would change
}

// Validate checks the configuration offline.
func (t *Tenant) Validate() error { return together(t.Access.validate(), t.Blueprint.validate()) }

// Check asks the tenant for a token.
func (t *Tenant) Check(ctx context.Context, _ *task.Env) error { return askForToken(ctx, t.Access) }

// Run makes and mends.
func (t *Tenant) Run(ctx context.Context, env *task.Env) (Built, error) {
	s, err := newSite(t.Access, t.Blueprint)
	if err != nil {
		return Built{}, err
	}
	s.mend, s.wait, s.log = true, t.Wait, func(change string) { env.Log.Info("change the tenant", "what", change) }
	err = s.all(ctx)
	r := Built{
		Domain: t.Domain, ClientID: s.first(), Clients: s.clients, Made: s.made, Changed: s.changed, Changes: s.changes,
	}
	if len(t.APIs) > 0 {
		r.Audience = t.APIs[0].Identifier
	}
	if err == nil && r.Made+r.Changed == 0 {
		err = task.Skip("the tenant is as the plan says")
	}
	return r, err
}

// Validate checks the configuration offline.
func (t *Drift) Validate() error { return together(t.Access.validate(), t.Blueprint.validate()) }

// Check asks the tenant for a token.
func (t *Drift) Check(ctx context.Context, _ *task.Env) error { return askForToken(ctx, t.Access) }

// Run compares.
func (t *Drift) Run(ctx context.Context, _ *task.Env) (Drifted, error) {
	s, err := newSite(t.Access, t.Blueprint)
	if err != nil {
		return Drifted{}, err
	}
	err = s.all(ctx)
	r := Drifted{
		Domain: t.Domain, ClientID: s.first(), Clients: s.clients, Differences: int64(len(s.changes)), Changes: s.changes,
	}
	if err == nil && r.Differences > 0 {
		err = task.Hint(fmt.Errorf("the tenant is not as the plan says: %s", strings.Join(r.Changes, "; ")),
			"run auth0/tenant with the same declaration, or correct the declaration")
	}
	return r, err
}

func newSite(a Access, b Blueprint) (*site, error) {
	api, _, err := open(a)
	return &site{tenant: api, access: a, blueprint: b, changes: []string{}, clients: map[string]string{}}, err
}

// first returns the client id of the application that users log in to.
func (s *site) first() string {
	if len(s.blueprint.Applications) == 0 {
		return ""
	}
	return s.clients[s.blueprint.Applications[0].Name]
}

// askForToken is the Check of tasks that need no more than to reach the tenant.
func askForToken(ctx context.Context, a Access) error {
	api, _, err := open(a)
	if err != nil {
		return err
	}
	_, err = api.Scopes(ctx)
	return err
}
