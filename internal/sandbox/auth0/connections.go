package auth0

import (
	"net/http"
	"slices"
	"time"
)

func noConnection() reply {
	return notFound("The connection does not exist", "inexistent_connection")
}

func connectionProps() map[string]schema {
	return with(anyOf(`authentication connected_accounts cross_app_access_requesting_app cross_app_access_resource_app
		is_domain_connection metadata options realms show_as_button`), map[string]schema{
		"display_name":    {kind: "string", longest: 128, about: "Connection name used in the new universal login experience"},
		"enabled_clients": {kind: "array", items: &schema{kind: "string"}, about: "DEPRECATED property. Use the PATCH /v2/connections/{id}/clients endpoint"},
	})
}

func createConnectionSchema() *schema {
	return object([]string{"name", "strategy"}, with(connectionProps(), map[string]schema{
		"name":     {kind: "string", shortest: 1, longest: 128, about: "The name of the connection"},
		"strategy": {kind: "string", shortest: 1, about: "The identity provider identifier for the connection"},
	}))
}

func updateConnectionSchema() *schema { return object(nil, connectionProps()) }

// newConnection completes a connection as the Management API does.
func newConnection(fields document, domain string) document {
	connection := defaults(fields, document{
		"id": "con_" + randomID(alphanumeric, 16), "is_domain_connection": false, "enabled_clients": []any{},
		"realms": []any{fields["name"]}, "options": document{},
		"authentication": document{"active": true}, "connected_accounts": document{"active": false},
	})
	if connection["strategy"] != "auth0" {
		withStrategy(connection, domain)
	}
	return withOptions(connection)
}

// withOptions fills in what a database connection's options do not say.
func withOptions(connection document) document {
	if connection["strategy"] != "auth0" {
		return connection
	}
	connection["options"] = defaults(nested(connection, "options"), document{
		"mfa": document{"active": true, "return_enroll_settings": true}, "strategy_version": 2,
		"passwordPolicy": "good", "brute_force_protection": true,
		"authentication_methods": document{
			"password": document{"enabled": true, "api_behavior": "required", "signup_behavior": "allow"},
			"passkey":  document{"enabled": false}, "email_otp": document{"enabled": false}, "phone_otp": document{"enabled": false},
		},
		"passkey_options": document{
			"challenge_ui": "both", "progressive_enrollment_enabled": true, "local_enrollment_enabled": true,
		},
	})
	return connection
}

// createConnection is POST /api/v2/connections.
func (t *Tenant) createConnection(c *call) reply {
	if t.connections.find(func(d document) bool { return d["name"] == c.text("name") }) != nil {
		return conflict("A connection with the same name already exists", "connection_conflict")
	}
	if t.deletionOf(c.now, func(d deletion) bool { return d.name == c.text("name") }) != nil {
		return conflict("The connection is being deleted.", "connection_conflict")
	}
	if refused, ok := checkAttributes(nested(c.fields, "options")); !ok {
		return refused
	}
	connection := newConnection(c.fields, c.domain)
	t.connections.put(connection)
	return answer(http.StatusCreated, connection)
}

// checkAttributes refuses combinations of the two ways to describe identifiers.
func checkAttributes(options document) (reply, bool) {
	attributes, ok := options["attributes"].(map[string]any)
	if !ok {
		return reply{}, true
	}
	for _, key := range []string{"requires_username", "validation"} {
		if _, both := options[key]; both {
			return badRequest("Cannot set both options.attributes and options."+key, "invalid_body"), false
		}
	}
	active := false
	for _, name := range []string{"email", "username", "phone_number"} {
		attribute := nested(attributes, name)
		identifier, _ := nested(attribute, "identifier")["active"].(bool)
		active = active || identifier
		if required, _ := attribute["profile_required"].(bool); required && text(nested(attribute, "signup"), "status") != "required" {
			return badRequest("attribute "+name+" must also be required on signup", "invalid_body"), false
		}
	}
	if !active {
		return badRequest("attributes must contain one active identifier", "invalid_body"), false
	}
	return reply{}, true
}

// listConnections is GET /api/v2/connections.
func (t *Tenant) listConnections(c *call) reply {
	strategies := c.query["strategy"]
	all := t.connections.where(func(d document) bool {
		return c.equals(d, "name") && (len(strategies) == 0 || slices.Contains(strategies, text(d, "strategy")))
	})
	if c.query.Has("fields") && c.query.Get("include_fields") != "false" {
		c.query.Set("fields", c.query.Get("fields")+",is_domain_connection") // which is there whatever was asked
	}
	return c.listDocuments("connections", "id", all)
}

// readConnection is GET /api/v2/connections/{id}.
func (t *Tenant) readConnection(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	return answer(http.StatusOK, c.pickFields([]document{connection})[0])
}

// updateConnection is PATCH /api/v2/connections/{id}. options are replaced as a
// whole, and what is left out goes back to its default.
func (t *Tenant) updateConnection(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	next := merged(connection, c.fields)
	if next["strategy"] != "auth0" {
		withStrategy(next, c.domain)
	}
	next = withOptions(next)
	t.connections.put(next)
	return answer(http.StatusOK, next)
}

// A deletion is one of a connection that goes on for a while.
type deletion struct {
	id, name string
	at       time.Time
}

// deletionOf returns the deletion that still goes on of the connection that
// matches, nil if there is none.
func (t *Tenant) deletionOf(now time.Time, match func(deletion) bool) *deletion {
	t.deletions = slices.DeleteFunc(t.deletions, func(d deletion) bool { return now.Sub(d.at) >= t.config.ConnectionDelete })
	at := slices.IndexFunc(t.deletions, match)
	if at < 0 {
		return nil
	}
	return &t.deletions[at]
}

// deleteConnection is DELETE /api/v2/connections/{id}. Its users go with it.
// While the deletion goes on it is answered again as it was the first time.
func (t *Tenant) deleteConnection(c *call) reply {
	id := c.PathValue("id")
	if d := t.deletionOf(c.now, func(d deletion) bool { return d.id == id }); d != nil {
		return answer(http.StatusAccepted, document{"deleted_at": timestamp(d.at)})
	}
	connection := t.connections.get(id)
	if connection == nil {
		return reply{status: http.StatusNoContent}
	}
	for u := range t.users.all {
		if u.connection == text(connection, "name") {
			t.drop(u, c.now)
		}
	}
	t.connections.remove(id)
	delete(t.scim, id)
	delete(t.scimTokens, id)
	delete(t.keys, id)
	t.deletions = append(t.deletions, deletion{id, text(connection, "name"), c.now})
	return answer(http.StatusAccepted, document{"deleted_at": timestamp(c.now)})
}

func enabledClientsSchema() *schema {
	return &schema{kind: "array", shortest: 1, longest: 50, items: object([]string{"client_id", "status"}, map[string]schema{
		"client_id": {kind: "string", shortest: 1}, "status": {kind: "boolean"},
	})}
}

// listEnabledClients is GET /api/v2/connections/{id}/clients.
func (t *Tenant) listEnabledClients(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	p, refused, ok := c.page(50, 1000)
	if !ok {
		return refused
	}
	all := []document{}
	for _, id := range textsOf(connection["enabled_clients"]) {
		all = append(all, document{"client_id": id})
	}
	return c.listFromCheckpoint("clients", "client_id", all, p)
}

// updateEnabledClients is PATCH /api/v2/connections/{id}/clients.
func (t *Tenant) updateEnabledClients(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	for _, item := range c.list {
		d, _ := item.(map[string]any)
		if t.clients.get(text(d, "client_id")) == nil {
			return noClient()
		}
	}
	for _, item := range c.list {
		d, _ := item.(map[string]any)
		setEnabled(connection, text(d, "client_id"), d["status"] == true)
	}
	return reply{status: http.StatusNoContent}
}

// setEnabled enables or disables a connection for an application.
func setEnabled(connection document, clientID string, on bool) {
	enabled, _ := connection["enabled_clients"].([]any)
	enabled = slices.DeleteFunc(slices.Clone(enabled), func(id any) bool { return id == clientID })
	if on {
		enabled = append(enabled, clientID)
	}
	connection["enabled_clients"] = enabled
}

// deleteConnectionUser is DELETE /api/v2/connections/{id}/users?email=.
func (t *Tenant) deleteConnectionUser(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	if u := t.users.in(text(connection, "name"), c.query.Get("email")); u != nil {
		t.drop(u, c.now)
	}
	return reply{status: http.StatusNoContent}
}
