package auth0

import (
	"net/http"
	"slices"
)

// A permission is a scope of an API that a role or a user has.
type permission struct{ api, name string }

func permissionsSchema() *schema {
	item := object([]string{"resource_server_identifier", "permission_name"}, map[string]schema{
		"resource_server_identifier": {kind: "string", shortest: 1, about: "Resource server (API) identifier that this permission is for"},
		"permission_name":            {kind: "string", shortest: 1, about: "Name of this permission"},
	})
	return object([]string{"permissions"}, map[string]schema{
		"permissions": {kind: "array", shortest: 1, items: item},
	})
}

// permissionsOf returns the scopes of an API that the user has, through roles
// or directly.
func (t *Tenant) permissionsOf(u *user, api string) []string {
	names := []string{}
	add := func(all []permission) {
		for _, p := range all {
			if p.api == api && !slices.Contains(names, p.name) {
				names = append(names, p.name)
			}
		}
	}
	add(u.grants)
	for _, m := range u.roles {
		add(m.role.permissions)
	}
	slices.Sort(names)
	return names
}

// readPermissions reads the permissions of the body, each of which must exist.
func (t *Tenant) readPermissions(c *call) ([]permission, reply, bool) {
	var out []permission
	items, _ := c.fields["permissions"].([]any)
	for _, item := range items {
		d, _ := item.(map[string]any)
		p := permission{api: c.inner(text(d, "resource_server_identifier")), name: text(d, "permission_name")}
		api := t.api(p.api)
		if api == nil {
			return nil, notFound("The API does not exist.", "inexistent_resource_server"), false
		}
		if !slices.Contains(scopeNames(api), p.name) {
			return nil, notFound("Permission not found.", ""), false
		}
		out = append(out, p)
	}
	return out, reply{}, true
}

func (t *Tenant) permissionView(c *call, p permission) document {
	api := t.api(p.api)
	return document{
		"permission_name": p.name, "description": scopeDescription(api, p.name),
		"resource_server_name": text(api, "name"), "resource_server_identifier": c.outer(p.api),
	}
}

func addPermissions(to, more []permission) []permission {
	for _, p := range more {
		if !slices.Contains(to, p) {
			to = append(to, p)
		}
	}
	return to
}

func removePermissions(from, less []permission) []permission {
	return slices.DeleteFunc(slices.Clone(from), func(p permission) bool { return slices.Contains(less, p) })
}

// addRolePermissions is POST /api/v2/roles/{id}/permissions.
func (t *Tenant) addRolePermissions(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	permissions, refused, ok := t.readPermissions(c)
	if !ok {
		return refused
	}
	r.permissions = addPermissions(r.permissions, permissions)
	return empty(http.StatusCreated)
}

// removeRolePermissions is DELETE /api/v2/roles/{id}/permissions.
func (t *Tenant) removeRolePermissions(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	permissions, refused, ok := t.readPermissions(c)
	if !ok {
		return refused
	}
	r.permissions = removePermissions(r.permissions, permissions)
	return reply{status: http.StatusNoContent}
}

// listRolePermissions is GET /api/v2/roles/{id}/permissions.
func (t *Tenant) listRolePermissions(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	all := []document{}
	for _, permission := range r.permissions {
		all = append(all, t.permissionView(c, permission))
	}
	return list("permissions", slice(all, p), len(all), p)
}

// addUserPermissions is POST /api/v2/users/{id}/permissions.
func (t *Tenant) addUserPermissions(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	permissions, refused, ok := t.readPermissions(c)
	if !ok {
		return refused
	}
	u.grants = addPermissions(u.grants, permissions)
	return empty(http.StatusCreated)
}

// removeUserPermissions is DELETE /api/v2/users/{id}/permissions.
func (t *Tenant) removeUserPermissions(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	permissions, refused, ok := t.readPermissions(c)
	if !ok {
		return refused
	}
	u.grants = removePermissions(u.grants, permissions)
	return reply{status: http.StatusNoContent}
}

// listUserPermissions is GET /api/v2/users/{id}/permissions, with where each
// one comes from.
func (t *Tenant) listUserPermissions(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	sources := map[permission][]document{}
	var order []permission
	add := func(all []permission, source document) {
		for _, permission := range all {
			if sources[permission] == nil {
				order = append(order, permission)
			}
			sources[permission] = append(sources[permission], source)
		}
	}
	add(u.grants, document{"source_id": "", "source_name": "", "source_type": "DIRECT"})
	for _, m := range u.roles {
		add(m.role.permissions, document{"source_id": m.role.id, "source_name": m.role.name, "source_type": "ROLE"})
	}
	all := []document{}
	for _, permission := range order {
		view := t.permissionView(c, permission)
		view["sources"] = sources[permission]
		all = append(all, view)
	}
	return list("permissions", slice(all, p), len(all), p)
}
