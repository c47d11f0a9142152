package auth0

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A role is a name that users carry, with permissions on APIs.
type role struct {
	id, name, description string
	extra                 document // type and owner_id, where they were given
	permissions           []permission
	members               []member
	left                  int   // how many of members are gone
	next                  int64 // the number of the next member
}

// A member is a user who has the role. A nil user was taken out again.
type member struct {
	number int64
	user   *user
}

// A membership is the other side of it.
type membership struct {
	role   *role
	number int64
}

func noRole() reply { return notFound("The role does not exist.", "") }

func (r *role) view() document {
	d := document{"id": r.id, "name": r.name, "description": r.description, "type": "tenant"}
	maps.Copy(d, r.extra)
	return d
}

// join gives the role to a user who may have it already.
func (r *role) join(u *user) {
	if slices.ContainsFunc(u.roles, func(m membership) bool { return m.role == r }) {
		return
	}
	r.next++
	r.members = append(r.members, member{r.next, u})
	u.roles = append(u.roles, membership{r, r.next})
}

// leave takes the role from a user.
func (r *role) leave(u *user) {
	at := slices.IndexFunc(u.roles, func(m membership) bool { return m.role == r })
	if at < 0 {
		return
	}
	place := r.after(u.roles[at].number - 1)
	r.members[place].user = nil
	r.left++
	u.roles = slices.Delete(slices.Clone(u.roles), at, at+1)
	if r.left > 1000 && r.left > len(r.members)/2 {
		r.members = slices.DeleteFunc(r.members, func(m member) bool { return m.user == nil })
		r.left = 0
	}
}

// after returns the place of the first member with a number above n.
func (r *role) after(n int64) int {
	at, _ := slices.BinarySearchFunc(r.members, n+1, func(m member, n int64) int {
		switch {
		case m.number < n:
			return -1
		case m.number > n:
			return 1
		}
		return 0
	})
	return at
}

// roleNames returns the names of the user's roles, as an Action sees them.
func (u *user) roleNames() []string {
	names := []string{}
	for _, m := range u.roles {
		names = append(names, m.role.name)
	}
	return names
}

func (t *Tenant) role(id string) *role {
	at := slices.IndexFunc(t.roles, func(r *role) bool { return r.id == id })
	if at < 0 {
		return nil
	}
	return t.roles[at]
}

func (t *Tenant) roleNamed(name string) *role {
	at := slices.IndexFunc(t.roles, func(r *role) bool { return r.name == name })
	if at < 0 {
		return nil
	}
	return t.roles[at]
}

func createRoleSchema() *schema {
	return object([]string{"name"}, map[string]schema{
		"name":        {kind: "string", shortest: 1, about: "Name of the role"},
		"description": {kind: "string", about: "Description of the role"},
		"type":        {kind: "string", enum: []string{"tenant", "organization"}},
		"owner_id":    {kind: "string"},
	})
}

func updateRoleSchema() *schema {
	return object(nil, map[string]schema{
		"name":        {kind: "string", shortest: 1, about: "Name of the role"},
		"description": {kind: "string", about: "Description of the role"},
	})
}

// createRole is POST /api/v2/roles.
func (t *Tenant) createRole(c *call) reply {
	if t.roleNamed(c.text("name")) != nil {
		return conflict("A role with the same name already exists.", "role_conflict")
	}
	r := &role{id: "rol_" + randomID(alphanumeric, 16), extra: document{}}
	r.fill(c)
	t.roles = append(t.roles, r)
	return answer(http.StatusOK, r.view())
}

func (r *role) fill(c *call) {
	if c.fields["name"] != nil {
		r.name = c.text("name")
	}
	if c.fields["description"] != nil {
		r.description = c.text("description")
	}
	for _, key := range []string{"type", "owner_id"} {
		if c.fields[key] != nil {
			r.extra[key] = c.fields[key]
		}
	}
}

// listRoles is GET /api/v2/roles.
func (t *Tenant) listRoles(c *call) reply {
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	filter := strings.ToLower(c.query.Get("name_filter"))
	all := []document{}
	for _, r := range t.roles {
		if strings.Contains(strings.ToLower(r.name), filter) && r.matches("type", c) && r.matches("owner_id", c) {
			all = append(all, r.view())
		}
	}
	return list("roles", slice(all, p), len(all), p)
}

func (r *role) matches(key string, c *call) bool {
	wanted := c.query.Get(key)
	return wanted == "" || text(r.view(), key) == wanted
}

// readRole is GET /api/v2/roles/{id}.
func (t *Tenant) readRole(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	return answer(http.StatusOK, r.view())
}

// updateRole is PATCH /api/v2/roles/{id}.
func (t *Tenant) updateRole(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	if other := t.roleNamed(c.text("name")); other != nil && other != r {
		return conflict("A role with the same name already exists.", "role_conflict")
	}
	r.fill(c)
	return answer(http.StatusOK, r.view())
}

// deleteRole is DELETE /api/v2/roles/{id}.
func (t *Tenant) deleteRole(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	for _, m := range slices.Clone(r.members) {
		if m.user != nil {
			r.leave(m.user)
		}
	}
	t.roles = slices.DeleteFunc(t.roles, func(o *role) bool { return o == r })
	return empty(http.StatusOK)
}
