package auth0

import (
	"maps"
	"slices"
)

// Dump returns what the tenant holds as a seed. What a seed cannot say is not in
// it: passwords and other secrets of users and Actions, old versions of Actions,
// single permissions of users, jobs and mails.
func (t *Tenant) Dump() Seed {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	s := Seed{Actions: t.dumpActions(), Settings: maps.Clone(t.settings)}
	for _, id := range t.apis.order {
		if d := t.apis.get(id); text(d, "identifier") != managementAPI {
			s.APIs = append(s.APIs, dumpAPI(d))
		}
	}
	for _, r := range t.roles {
		s.Roles = append(s.Roles, r.dump())
	}
	for _, id := range t.clients.order {
		s.Clients = append(s.Clients, t.dumpClient(t.clients.get(id)))
	}
	for _, id := range t.connections.order {
		s.Connections = append(s.Connections, dumpConnection(t.connections.get(id)))
	}
	for _, id := range t.templates.order {
		on, _ := t.templates.get(id)["enabled"].(bool)
		s.Templates = append(s.Templates, Template{Name: id, Enabled: on})
	}
	for u := range t.users.all {
		s.Users = append(s.Users, u.export())
	}
	return s
}

// take returns a string of d and takes it out.
func take(d document, key string) string {
	value := text(d, key)
	delete(d, key)
	return value
}

func dumpAPI(d document) API {
	rest := maps.Clone(d)
	api := API{ID: take(rest, "id"), Name: take(rest, "name"), Identifier: take(rest, "identifier"), Settings: rest}
	api.TokenLifetime, api.TokenLifetimeForWeb = number(d, "token_lifetime"), number(d, "token_lifetime_for_web")
	api.AllowOfflineAccess, _ = d["allow_offline_access"].(bool)
	api.SkipConsent, _ = d["skip_consent_for_verifiable_first_party_clients"].(bool)
	scopes, _ := d["scopes"].([]any)
	for _, item := range scopes {
		scope, _ := item.(map[string]any)
		api.Scopes = append(api.Scopes, text(scope, "value"))
	}
	for _, key := range []string{
		"token_lifetime", "token_lifetime_for_web", "allow_offline_access",
		"skip_consent_for_verifiable_first_party_clients", "scopes",
	} {
		delete(rest, key)
	}
	return api
}

func (r *role) dump() Role {
	out := Role{ID: r.id, Name: r.name, Description: r.description}
	for _, p := range r.permissions {
		if out.Permissions == nil {
			out.Permissions = map[string][]string{}
		}
		out.Permissions[p.api] = append(out.Permissions[p.api], p.name)
	}
	return out
}

func (t *Tenant) dumpClient(d document) Client {
	rest := maps.Clone(d)
	client := Client{
		ID: take(rest, "client_id"), Secret: take(rest, "client_secret"), Name: take(rest, "name"),
		Type: take(rest, "app_type"), GrantTypes: textsOf(d["grant_types"]), Settings: rest,
	}
	delete(rest, "grant_types")
	for _, grant := range t.grants.where(func(g document) bool { return g["client_id"] == client.ID }) {
		if client.Grants == nil {
			client.Grants = map[string][]string{}
		}
		audience := text(grant, "audience")
		if audience == managementAPI {
			audience = Management
		}
		client.Grants[audience] = textsOf(grant["scope"])
	}
	return client
}

func dumpConnection(d document) Connection {
	rest := maps.Clone(d)
	connection := Connection{
		ID: take(rest, "id"), Name: take(rest, "name"), Clients: textsOf(d["enabled_clients"]),
		Options: nested(d, "options"), Settings: rest,
	}
	delete(rest, "options")
	delete(rest, "enabled_clients")
	return connection
}

// dumpActions returns the bound Actions in the order of their bindings, and then
// the others.
func (t *Tenant) dumpActions() []Action {
	var out []Action
	done := map[*action]bool{}
	add := func(a *action, trigger string, bound bool) {
		if !done[a] {
			done[a] = true
			out = append(out, Action{
				ID: a.id, Name: a.name, Trigger: trigger, Code: a.draft.code,
				Draft: a.deployed == nil, Unbound: a.deployed != nil && !bound,
			})
		}
	}
	for _, trigger := range slices.Sorted(maps.Keys(t.actions.bindings)) {
		for _, b := range t.actions.bindings[trigger] {
			add(b.action, trigger, true)
		}
	}
	for _, a := range t.actions.all {
		trigger := postLogin
		if len(a.draft.triggers) > 0 {
			first, _ := a.draft.triggers[0].(map[string]any)
			trigger = text(first, "id")
		}
		add(a, trigger, false)
	}
	return out
}
