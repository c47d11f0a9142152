package auth0

import (
	"fmt"
	"slices"
)

// A Seed is what a tenant holds from the start. It can be written as JSON.
type Seed struct {
	APIs        []API        `json:"apis,omitempty"`
	Roles       []Role       `json:"roles,omitempty"`
	Clients     []Client     `json:"clients,omitempty"`
	Connections []Connection `json:"connections,omitempty"`
	Actions     []Action     `json:"actions,omitempty"`
	Templates   []Template   `json:"templates,omitempty"`
	Users       []User       `json:"users,omitempty"`

	// Settings are the tenant's, where they differ from a fresh one's, as the
	// Management API names them.
	Settings map[string]any `json:"settings,omitempty"`
}

// An API is a resource server.
type API struct {
	ID                  string   `json:"id,omitempty"` // random by default
	Name                string   `json:"name,omitempty"`
	Identifier          string   `json:"identifier,omitempty"`
	Scopes              []string `json:"scopes,omitempty"`
	TokenLifetime       int      `json:"token_lifetime,omitempty"`         // seconds, 86,400 by default
	TokenLifetimeForWeb int      `json:"token_lifetime_for_web,omitempty"` // seconds, 7,200 by default
	AllowOfflineAccess  bool     `json:"allow_offline_access,omitempty"`
	SkipConsent         bool     `json:"skip_consent,omitempty"` // for first-party applications
	Permissions         bool     `json:"permissions,omitempty"`  // RBAC, and permissions in the access token

	Settings map[string]any `json:"settings,omitempty"` // anything else, as the Management API names it
}

// A Role is a name with permissions.
type Role struct {
	ID          string              `json:"id,omitempty"` // as in rol_..., random by default
	Name        string              `json:"name,omitempty"`
	Description string              `json:"description,omitempty"`
	Permissions map[string][]string `json:"permissions,omitempty"` // API identifier to scopes
}

// A Client is an application. Grants name the APIs that it may ask tokens for,
// with the scopes; the key "management" stands for the Management API.
type Client struct {
	ID         string              `json:"id,omitempty"`     // random by default
	Secret     string              `json:"secret,omitempty"` // random by default
	Name       string              `json:"name,omitempty"`
	Type       string              `json:"type,omitempty"` // non_interactive, spa, regular_web, native
	GrantTypes []string            `json:"grant_types,omitempty"`
	Grants     map[string][]string `json:"grants,omitempty"`
	Settings   map[string]any      `json:"settings,omitempty"` // anything else, as the Management API names it
}

// Management stands for the identifier of the Management API in a seed.
const Management = "management"

// A Connection is a database connection of a name, enabled for applications.
type Connection struct {
	ID      string         `json:"id,omitempty"` // as in con_..., random by default
	Name    string         `json:"name,omitempty"`
	Clients []string       `json:"clients,omitempty"` // names or ids of clients of the seed
	Options map[string]any `json:"options,omitempty"`

	Settings map[string]any `json:"settings,omitempty"` // anything else, such as another strategy
}

// An Action is built, deployed and bound to a trigger, unless it says otherwise.
type Action struct {
	ID      string `json:"id,omitempty"` // a UUID, random by default
	Name    string `json:"name,omitempty"`
	Trigger string `json:"trigger,omitempty"` // post-login by default
	Code    string `json:"code,omitempty"`
	Draft   bool   `json:"draft,omitempty"`   // neither deployed nor bound
	Unbound bool   `json:"unbound,omitempty"` // deployed, but not bound
}

// A Template is an e-mail template.
type Template struct {
	Name    string `json:"name,omitempty"`
	Enabled bool   `json:"enabled,omitempty"`
}

// plant puts a seed into a new tenant.
func (t *Tenant) plant(s Seed) error {
	scopes := []any{}
	for _, scope := range ManagementScopes() {
		scopes = append(scopes, document{"value": scope, "description": scope})
	}
	t.apis.put(newAPI(document{
		"name": "Auth0 Management API", "identifier": managementAPI, "is_system": true,
		"signing_alg": "RS256", "scopes": scopes,
	}))
	for _, api := range s.APIs {
		t.apis.put(api.document())
	}
	for _, r := range s.Roles {
		t.plantRole(r)
	}
	for _, client := range s.Clients {
		t.addClient(client)
	}
	for _, connection := range s.Connections {
		if err := t.plantConnection(connection); err != nil {
			return err
		}
	}
	for _, a := range s.Actions {
		t.plantAction(a)
	}
	for _, template := range s.Templates {
		t.templates.put(document{"template": template.Name, "enabled": template.Enabled, "syntax": "liquid"})
	}
	t.settings = defaults(s.Settings, t.settings)
	for i, u := range s.Users {
		if err := t.putUser(u); err != nil {
			return fmt.Errorf("users[%d]: %w", i, err)
		}
	}
	return nil
}

func (a API) document() document {
	scopes := []any{}
	for _, scope := range a.Scopes {
		scopes = append(scopes, document{"value": scope, "description": scope})
	}
	d := defaults(document{
		"name": a.Name, "identifier": a.Identifier, "signing_alg": "RS256", "scopes": scopes,
		"allow_offline_access":                            a.AllowOfflineAccess,
		"skip_consent_for_verifiable_first_party_clients": a.SkipConsent,
	}, a.Settings)
	if a.ID != "" {
		d["id"] = a.ID
	}
	if a.TokenLifetime > 0 {
		d["token_lifetime"] = a.TokenLifetime
	}
	if a.TokenLifetimeForWeb > 0 {
		d["token_lifetime_for_web"] = a.TokenLifetimeForWeb
	}
	if a.Permissions {
		d["enforce_policies"], d["token_dialect"] = true, "access_token_authz"
	}
	return newAPI(d)
}

func (t *Tenant) plantRole(seed Role) {
	r := &role{id: seed.ID, name: seed.Name, description: seed.Description, extra: document{}}
	for api, scopes := range seed.Permissions {
		for _, scope := range scopes {
			r.permissions = append(r.permissions, permission{api, scope})
		}
	}
	t.roles = append(t.roles, r)
}

func (t *Tenant) plantConnection(seed Connection) error {
	d := defaults(document{"name": seed.Name}, defaults(seed.Settings, document{"strategy": "auth0"}))
	if seed.ID != "" {
		d["id"] = seed.ID
	}
	if seed.Options != nil {
		d["options"] = seed.Options
	}
	connection := newConnection(d, t.domain)
	for _, name := range seed.Clients {
		client := t.clients.find(func(d document) bool { return d["name"] == name || d["client_id"] == name })
		if client == nil {
			return fmt.Errorf("connection %s names client %q, which is not there", seed.Name, name)
		}
		setEnabled(connection, text(client, "client_id"), true)
	}
	t.connections.put(connection)
	return nil
}

func (t *Tenant) plantAction(seed Action) {
	trigger := seed.Trigger
	if trigger == "" {
		trigger = postLogin
	}
	now := t.now()
	built := now.Add(-2 * t.config.ActionBuild)
	a := &action{id: seed.ID, created: built, draft: draft{dependencies: []any{}, secrets: []any{}, runtime: "node22"}}
	a.apply(document{
		"name": seed.Name, "code": seed.Code, "supported_triggers": []any{document{"id": trigger, "version": "v3"}},
	}, built)
	t.actions.all = append(t.actions.all, a)
	if seed.Draft {
		return
	}
	a.deploy(a.draft, now)
	if !seed.Unbound {
		t.actions.bindings[trigger] = append(t.actions.bindings[trigger],
			binding{id: uuid(), display: seed.Name, action: a, created: now})
	}
}

// AddClient adds an application and returns its id and secret.
func (t *Tenant) AddClient(c Client) (id, secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addClient(c)
}

func (t *Tenant) addClient(c Client) (id, secret string) {
	d := defaults(document{"name": c.Name}, c.Settings)
	for key, value := range map[string]string{"client_id": c.ID, "client_secret": c.Secret, "app_type": c.Type} {
		if value != "" {
			d[key] = value
		}
	}
	if c.GrantTypes != nil {
		types := []any{}
		for _, grant := range c.GrantTypes {
			types = append(types, grant)
		}
		d["grant_types"] = types
	}
	client := newClient(d)
	t.clients.put(client)
	id = text(client, "client_id")
	for audience, scopes := range c.Grants {
		t.grant(id, audience, scopes)
		if audience == Management && t.management == "" {
			t.management = id
		}
	}
	return id, text(client, "client_secret")
}

// Grant lets an application ask for tokens of an API ([Management] or an
// identifier) with just these scopes. It replaces an earlier grant.
func (t *Tenant) Grant(clientID, audience string, scopes ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.grant(clientID, audience, scopes)
}

func (t *Tenant) grant(clientID, audience string, scopes []string) {
	if audience == Management {
		audience = managementAPI
	}
	list := []any{}
	for _, scope := range scopes {
		list = append(list, scope)
	}
	grant := t.grants.find(func(d document) bool { return d["client_id"] == clientID && d["audience"] == audience })
	if grant == nil {
		grant = document{
			"id": "cgr_" + randomID(alphanumeric, 16), "client_id": clientID, "audience": audience, "subject_type": "client",
		}
		t.grants.put(grant)
	}
	grant["scope"] = list
}

// Client returns the id and secret of the application of a name, and whether
// there is one.
func (t *Tenant) Client(name string) (id, secret string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	client := t.clients.find(func(d document) bool { return d["name"] == name })
	return text(client, "client_id"), text(client, "client_secret"), client != nil
}

// ManagementClient returns the credentials of the seed's first application with
// a grant for the Management API. A tenant without one gets one with every scope.
func (t *Tenant) ManagementClient() (id, secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if client := t.clients.get(t.management); client != nil {
		return t.management, text(client, "client_secret")
	}
	seed := Seed{Clients: []Client{{
		Name: "Management", Type: "non_interactive", GrantTypes: []string{clientCredentials},
		Grants: map[string][]string{Management: ManagementScopes()},
	}}}.identified()
	t.config.Seed.Clients = append(t.config.Seed.Clients, seed.Clients...) // for the next reset
	return t.addClient(seed.Clients[0])
}

// SetConnection enables or disables a connection for the named applications.
func (t *Tenant) SetConnection(name string, enabled bool, clients ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	connection := t.connections.find(func(d document) bool { return d["name"] == name })
	for _, client := range t.clients.where(func(d document) bool { return slices.Contains(clients, text(d, "name")) }) {
		setEnabled(connection, text(client, "client_id"), enabled)
	}
}
