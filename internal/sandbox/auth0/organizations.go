package auth0

import (
	"net/http"
	"slices"
)

// An organization is here what users, applications and grants refer to, and no
// more: no invitations, no connections of its own.
type organization struct {
	document
	members []string // ids of users
	grants  []string // ids of client grants
}

func organizationSchema() *schema {
	return object([]string{"name"}, with(anyOf("display_name branding metadata enabled_connections token_quota third_party_client_access"),
		map[string]schema{"name": {kind: "string", shortest: 1, longest: 50, about: "The name of this organization."}}))
}

func membersSchema() *schema {
	return object([]string{"members"}, map[string]schema{"members": {kind: "array", shortest: 1, items: &schema{kind: "string"}}})
}

func organizationGrantSchema() *schema {
	return object([]string{"grant_id"}, map[string]schema{"grant_id": {kind: "string"}})
}

func organizationEndpoints() []endpoint {
	return []endpoint{
		{"POST /api/v2/organizations", one("create:organizations"), organizationSchema(), (*Tenant).createOrganization},
		{"GET /api/v2/organizations/{id}", one("read:organizations"), nil, (*Tenant).readOrganization},
		{"DELETE /api/v2/organizations/{id}", one("delete:organizations"), nil, (*Tenant).deleteOrganization},
		{"POST /api/v2/organizations/{id}/members", one("create:organization_members"), membersSchema(), (*Tenant).addMembers},
		{"POST /api/v2/organizations/{id}/client-grants", one("create:organization_client_grants"), organizationGrantSchema(), (*Tenant).addOrganizationGrant},
		{"GET /api/v2/users/{id}/organizations", one("read:organizations"), nil, (*Tenant).listUserOrganizations},
		{"GET /api/v2/client-grants/{id}/organizations", one("read:organization_client_grants"), nil, (*Tenant).listGrantOrganizations},
	}
}

func noOrganization() reply {
	return notFound("No organization found by that id or name.", "inexistent_organization")
}

func (t *Tenant) organization(c *call) *organization {
	at := slices.IndexFunc(t.organizations, func(o *organization) bool { return o.document["id"] == c.PathValue("id") })
	if at < 0 {
		return nil
	}
	return t.organizations[at]
}

// createOrganization is POST /api/v2/organizations.
func (t *Tenant) createOrganization(c *call) reply {
	if slices.ContainsFunc(t.organizations, func(o *organization) bool { return o.document["name"] == c.text("name") }) {
		return conflict("An organization with this name already exists.", "organization_conflict")
	}
	d := defaults(c.fields, document{"id": "org_" + randomID(alphanumeric, 16), "display_name": c.text("name")})
	t.organizations = append(t.organizations, &organization{document: d})
	return answer(http.StatusCreated, d)
}

// readOrganization is GET /api/v2/organizations/{id}.
func (t *Tenant) readOrganization(c *call) reply {
	if o := t.organization(c); o != nil {
		return answer(http.StatusOK, o.document)
	}
	return noOrganization()
}

// deleteOrganization is DELETE of the same.
func (t *Tenant) deleteOrganization(c *call) reply {
	t.organizations = slices.DeleteFunc(t.organizations, func(o *organization) bool { return o.document["id"] == c.PathValue("id") })
	return reply{status: http.StatusNoContent}
}

// addMembers is POST /api/v2/organizations/{id}/members.
func (t *Tenant) addMembers(c *call) reply {
	o := t.organization(c)
	if o == nil {
		return noOrganization()
	}
	for _, id := range c.texts("members") {
		if t.users.byID[id] == nil {
			return noUser()
		}
		if !slices.Contains(o.members, id) {
			o.members = append(o.members, id)
		}
	}
	return reply{status: http.StatusNoContent}
}

// addOrganizationGrant is POST /api/v2/organizations/{id}/client-grants.
func (t *Tenant) addOrganizationGrant(c *call) reply {
	o, grant := t.organization(c), t.grants.get(c.text("grant_id"))
	switch {
	case o == nil:
		return noOrganization()
	case grant == nil:
		return noGrant()
	}
	if id := text(grant, "id"); !slices.Contains(o.grants, id) {
		o.grants = append(o.grants, id)
	}
	view := c.grantView(grant)
	view["grant_id"] = view["id"]
	delete(view, "id")
	delete(view, "subject_type")
	return answer(http.StatusCreated, view)
}

// listUserOrganizations is GET /api/v2/users/{id}/organizations.
func (t *Tenant) listUserOrganizations(c *call) reply {
	if t.users.byID[c.PathValue("id")] == nil {
		return noUser()
	}
	return t.organizationsWhere(c, func(o *organization) []string { return o.members })
}

// listGrantOrganizations is GET /api/v2/client-grants/{id}/organizations.
func (t *Tenant) listGrantOrganizations(c *call) reply {
	if t.grants.get(c.PathValue("id")) == nil {
		return noGrant()
	}
	return t.organizationsWhere(c, func(o *organization) []string { return o.grants })
}

func (t *Tenant) organizationsWhere(c *call, ids func(*organization) []string) reply {
	all := []document{}
	for _, o := range t.organizations {
		if slices.Contains(ids(o), c.PathValue("id")) {
			all = append(all, o.document)
		}
	}
	return c.listDocuments("organizations", "id", all)
}
