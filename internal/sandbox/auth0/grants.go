package auth0

import (
	"net/http"
	"slices"
)

func noGrant() reply { return notFound("The grant does not exist.", "inexistent_client_grant") }

func grantProps() map[string]schema {
	return map[string]schema{
		"scope":                       {kind: "array", items: &schema{kind: "string", shortest: 1}, about: "Scopes allowed for this client grant"},
		"organization_usage":          {kind: "string", enum: []string{"deny", "allow", "require"}, null: true},
		"allow_any_organization":      {kind: "boolean", null: true},
		"authorization_details_types": {kind: "array", items: &schema{kind: "string"}},
		"allow_all_scopes":            {kind: "boolean", null: true},
	}
}

func createGrantSchema() *schema {
	return object([]string{"client_id", "audience"}, with(grantProps(), map[string]schema{
		"client_id":    {kind: "string", shortest: 1, about: "ID of the client"},
		"audience":     {kind: "string", shortest: 1, about: "The audience (API identifier) of this client grant"},
		"subject_type": {kind: "string", enum: []string{"client", "user"}},
		"default_for":  {kind: "string"},
	}))
}

func updateGrantSchema() *schema { return object(nil, grantProps()) }

// grantView is a client grant as the API shows it: the Management API's
// identifier holds the tenant's domain.
func (c *call) grantView(d document) document {
	return defaults(document{"audience": c.outer(text(d, "audience"))}, d)
}

// createGrant is POST /api/v2/client-grants.
func (t *Tenant) createGrant(c *call) reply {
	client, audience := t.clients.get(c.text("client_id")), c.inner(c.text("audience"))
	switch {
	case client == nil:
		return notFound("The client does not exist.", "inexistent_client")
	case t.api(audience) == nil:
		return notFound("No resource server found by that identifier.", "inexistent_resource_server")
	case text(client, "app_type") == "express_configuration":
		return badRequest("Client of type express_configuration cannot be used", "validation_error")
	}
	grant := defaults(c.fields, document{
		"id": "cgr_" + randomID(alphanumeric, 16), "subject_type": "client", "scope": []any{},
	})
	grant["audience"] = audience
	same := t.grants.find(func(d document) bool {
		return d["client_id"] == grant["client_id"] && d["audience"] == audience && d["subject_type"] == grant["subject_type"]
	})
	if same != nil {
		return conflict("A resource with the same keys already exists.", "resource_already_exists")
	}
	t.grants.put(grant)
	return answer(http.StatusCreated, c.grantView(grant))
}

// listGrants is GET /api/v2/client-grants.
func (t *Tenant) listGrants(c *call) reply {
	var all []document
	for _, grant := range t.grants.where(func(d document) bool {
		audience := c.query.Get("audience")
		return (audience == "" || d["audience"] == c.inner(audience)) &&
			c.equals(d, "client_id") && c.equals(d, "subject_type")
	}) {
		all = append(all, c.grantView(grant))
	}
	return c.listDocuments("client_grants", "id", slices.Clip(all))
}

// equals tells whether a document matches a query parameter of the same name.
func (c *call) equals(d document, key string) bool {
	wanted := c.query.Get(key)
	return wanted == "" || text(d, key) == wanted
}

// readGrant is GET /api/v2/client-grants/{id}.
func (t *Tenant) readGrant(c *call) reply {
	grant := t.grants.get(c.PathValue("id"))
	if grant == nil {
		return noGrant()
	}
	return answer(http.StatusOK, c.grantView(grant))
}

// updateGrant is PATCH /api/v2/client-grants/{id}.
func (t *Tenant) updateGrant(c *call) reply {
	grant := t.grants.get(c.PathValue("id"))
	if grant == nil {
		return noGrant()
	}
	next := merged(grant, c.fields)
	t.grants.put(next)
	return answer(http.StatusOK, c.grantView(next))
}

// deleteGrant is DELETE /api/v2/client-grants/{id}.
func (t *Tenant) deleteGrant(c *call) reply {
	t.grants.remove(c.PathValue("id"))
	return reply{status: http.StatusNoContent}
}
