package auth0

import (
	"net/http"
	"strconv"
)

// mostRoles is how many roles a user may have directly (Auth0's entity limits).
const mostRoles = 50

func roleIDsSchema() *schema {
	return object([]string{"roles"}, map[string]schema{
		"roles": {kind: "array", shortest: 1, items: &schema{kind: "string", shortest: 1}, about: "List of roles IDs to associate with the user"},
	})
}

func userIDsSchema() *schema {
	return object([]string{"users"}, map[string]schema{
		"users": {kind: "array", shortest: 1, items: &schema{kind: "string", shortest: 1}, about: "user_id's of the users to assign the role to"},
	})
}

// addRoleUsers is POST /api/v2/roles/{id}/users. If one user is missing, none
// gets the role.
func (t *Tenant) addRoleUsers(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	var users []*user
	for _, id := range c.texts("users") {
		u := t.users.byID[id]
		if u == nil {
			return noUser()
		}
		users = append(users, u)
	}
	for _, u := range users {
		r.join(u)
	}
	return empty(http.StatusOK)
}

// memberView is a user in the list of those who have a role.
type memberView struct {
	UserID  string `json:"user_id"`
	Email   string `json:"email,omitempty"`
	Picture string `json:"picture"`
	Name    string `json:"name"`
}

// listRoleUsers is GET /api/v2/roles/{id}/users, by offset up to the first
// thousand, or by checkpoint.
func (t *Tenant) listRoleUsers(c *call) reply {
	r := t.role(c.PathValue("id"))
	if r == nil {
		return noRole()
	}
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	if p.checkpoint {
		return r.listFrom(p)
	}
	if p.start+p.size > deepest {
		return badRequest("You can only page through the first 1000 records. See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation", "invalid_paging")
	}
	part, seen := []memberView{}, 0
	for _, m := range r.members {
		if m.user == nil {
			continue
		}
		if seen >= p.start && len(part) < p.size {
			part = append(part, m.user.memberView())
		}
		seen++
	}
	return list("users", part, seen, p)
}

func (r *role) listFrom(p page) reply {
	after := int64(0)
	if p.from != "" {
		value, ok := readCheckpoint(p.from)
		n, err := strconv.ParseInt(value, 10, 64)
		if !ok || err != nil {
			return invalidQuery("Invalid checkpoint", "from")
		}
		after = n
	}
	part, out := []memberView{}, document{}
	last := after
	for _, m := range r.members[r.after(after):] {
		if m.user == nil {
			continue
		}
		if len(part) == p.size {
			out["next"] = checkpoint(strconv.FormatInt(last, 10))
			break
		}
		part, last = append(part, m.user.memberView()), m.number
	}
	out["users"] = part
	return answer(http.StatusOK, out)
}

func (u *user) memberView() memberView {
	return memberView{UserID: u.id, Email: u.email, Picture: u.displayPicture(), Name: u.displayName()}
}

// listUserRoles is GET /api/v2/users/{id}/roles.
func (t *Tenant) listUserRoles(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	all := []document{}
	for _, m := range u.roles {
		all = append(all, m.role.view())
	}
	return list("roles", slice(all, p), len(all), p)
}

// addUserRoles is POST /api/v2/users/{id}/roles.
func (t *Tenant) addUserRoles(c *call) reply {
	u, roles, refused, ok := t.userAndRoles(c)
	if !ok {
		return refused
	}
	if len(u.roles)+len(roles) > mostRoles {
		return fail(http.StatusForbidden, "You've reached the limit of roles per user.", "too_many_entities")
	}
	for _, r := range roles {
		r.join(u)
	}
	return reply{status: http.StatusNoContent}
}

// removeUserRoles is DELETE /api/v2/users/{id}/roles.
func (t *Tenant) removeUserRoles(c *call) reply {
	u, roles, refused, ok := t.userAndRoles(c)
	if !ok {
		return refused
	}
	for _, r := range roles {
		r.leave(u)
	}
	return reply{status: http.StatusNoContent}
}

func (t *Tenant) userAndRoles(c *call) (*user, []*role, reply, bool) {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return nil, nil, noUser(), false
	}
	var roles []*role
	for _, id := range c.texts("roles") {
		r := t.role(id)
		if r == nil {
			return nil, nil, noRole(), false
		}
		roles = append(roles, r)
	}
	return u, roles, reply{}, true
}
