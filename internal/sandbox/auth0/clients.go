package auth0

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func noClient() reply { return notFound("The client does not exist", "inexistent_client") }

// clientProps are the properties of an application that can be set.
func clientProps() map[string]schema {
	props := anyOf(`allowed_clients allowed_logout_urls allowed_origins addons async_approval_notification_channels
		callbacks client_aliases client_authentication_methods client_metadata client_secret compliance_level
		cross_origin_authentication cross_origin_loc custom_login_page custom_login_page_on
		custom_login_page_preview default_organization encryption_key express_configuration fedcm_login form_template
		grant_types identity_assertion_authorization_grant initiate_login_uri is_first_party
		is_token_endpoint_ip_header_trusted jwt_configuration logo_uri mobile my_organization_configuration
		native_social_login oidc_backchannel_logout oidc_conformant oidc_logout organization_discovery_methods
		organization_require_behavior organization_usage par_request_expiry redirection_policy refresh_token
		require_proof_of_possession require_pushed_authorization_requests resource_server_identifier session_transfer
		signed_request_object skip_non_verifiable_callback_uri_confirmation_prompt sso sso_disabled
		third_party_security_mode token_exchange token_quota token_vault_privileged_access web_origins`)
	props["name"] = schema{kind: "string", shortest: 1, pattern: noAngle, about: "The name of the client"}
	props["description"] = schema{kind: "string", longest: 140, null: true, about: "Free text description of the purpose of the Client"}
	props["app_type"] = schema{kind: "string", null: true, about: "The type of application this client represents"}
	props["token_endpoint_auth_method"] = schema{
		kind: "string", null: true, enum: []string{"none", "client_secret_post", "client_secret_basic"},
		about: "Defines the requested authentication method for the token endpoint",
	}
	return props
}

func createClientSchema() *schema {
	props := clientProps()
	delete(props, "client_secret") // it is made up, and can be replaced then
	return object([]string{"name"}, props)
}

func updateClientSchema() *schema {
	props := clientProps()
	delete(props, "resource_server_identifier")
	return object(nil, props)
}

// newClient completes an application as the Management API does.
func newClient(fields document) document {
	grants := []any{"authorization_code", "implicit", "refresh_token", clientCredentials}
	others := document{
		"is_first_party": true, "is_token_endpoint_ip_header_trusted": false, "oidc_conformant": false,
		"sso_disabled": false, "cross_origin_authentication": false, "custom_login_page_on": true,
		"jwt_configuration": document{"lifetime_in_seconds": 36_000},
		"client_id":         randomID(alphanumeric, 32), "client_secret": randomID(alphanumeric, 64),
		"signing_keys": []any{document{"cert": "-----BEGIN CERTIFICATE-----", "pkcs7": "-----BEGIN PKCS7-----", "subject": "/CN=emulator"}},
	}
	switch text(fields, "app_type") {
	case "spa", "native":
		others["token_endpoint_auth_method"] = "none"
	case "resource_server":
		grants = []any{}
	}
	others["grant_types"] = grants
	client := defaults(fields, others)
	client["jwt_configuration"] = defaults(nested(client, "jwt_configuration"), document{"secret_encoded": false})
	client["refresh_token"] = defaults(nested(client, "refresh_token"), document{
		"rotation_type": "non-rotating", "expiration_type": "non-expiring", "leeway": 0, "token_lifetime": 2_592_000,
		"infinite_token_lifetime": true, "infinite_idle_token_lifetime": true, "idle_token_lifetime": 1_296_000,
	})
	return client
}

// keyHolders returns the parts of an application that hold keys.
func keyHolders(client document) []document {
	var holders []document
	for _, method := range nested(client, "client_authentication_methods") {
		if d, ok := method.(map[string]any); ok {
			holders = append(holders, d)
		}
	}
	for _, key := range []string{"signed_request_object", "token_vault_privileged_access"} {
		if d, ok := client[key].(map[string]any); ok {
			holders = append(holders, d)
		}
	}
	return holders
}

// takeCredentials replaces the keys that a new application brings by what the
// API shows of them, and returns that.
func takeCredentials(client document, now time.Time) (all []document) {
	for _, holder := range keyHolders(client) {
		if list, ok := holder["credentials"].([]any); ok {
			shown := make([]any, 0, len(list))
			for _, item := range list {
				key, _ := item.(map[string]any)
				taken := credential(key, now)
				shown, all = append(shown, taken), append(all, taken)
			}
			holder["credentials"] = shown
		}
	}
	return all
}

// stand has an application of type resource_server stand for the API that it
// names.
func (t *Tenant) stand(client document) {
	if api := t.api(text(client, "resource_server_identifier")); api != nil && text(client, "app_type") == "resource_server" {
		api["client_id"] = client["client_id"]
	}
}

// hideCredentials leaves only the ids of keys, which is what an application
// shows of them after the answer that created it.
func hideCredentials(client document) {
	for _, holder := range keyHolders(client) {
		list, _ := holder["credentials"].([]any)
		for i, item := range list {
			key, _ := item.(map[string]any)
			list[i] = document{"id": key["id"]}
		}
	}
}

// credential returns what the API shows of a key. One that is only named by its
// id is there already.
func credential(key document, now time.Time) document {
	if text(key, "pem") == "" {
		return key
	}
	shown := document{
		"id": "cred_" + randomID(alphanumeric, 22), "name": key["name"], "credential_type": key["credential_type"],
		"created_at": timestamp(now), "updated_at": timestamp(now),
	}
	switch text(key, "credential_type") {
	case "public_key":
		shown["kid"], shown["alg"] = randomID(alphanumeric, 43), "RS256"
		if alg := text(key, "alg"); alg != "" {
			shown["alg"] = alg
		}
	case "x509_cert":
		shown["thumbprint_sha256"], shown["expires_at"] = randomID(alphanumeric, 43), "9999-12-31T23:59:59Z"
	case "cert_subject_dn":
		shown["subject_dn"] = "CN=client"
	}
	return shown
}

// createClient is POST /api/v2/clients. Names need not be unique.
func (t *Tenant) createClient(c *call) reply {
	if refused, ok := checkTokenVault(c.fields, true); !ok {
		return refused
	}
	client := newClient(c.fields)
	for _, key := range takeCredentials(client, c.now) {
		t.keep(text(client, "client_id"), key)
	}
	t.stand(client)
	out := encode(answer(http.StatusCreated, client))
	hideCredentials(client)
	t.clients.put(client)
	return out
}

// listClients is GET /api/v2/clients.
func (t *Tenant) listClients(c *call) reply {
	types := strings.FieldsFunc(c.query.Get("app_type"), func(r rune) bool { return r == ',' })
	all := t.clients.where(func(d document) bool {
		return (len(types) == 0 || slices.Contains(types, text(d, "app_type"))) &&
			c.filters(d, "is_first_party") && c.filters(d, "is_global")
	})
	out := make([]document, len(all))
	for i, d := range all {
		out[i] = defaults(d, document{"tenant": c.domain})
	}
	if c.query.Has("fields") && c.query.Get("include_fields") != "false" {
		c.query.Set("fields", c.query.Get("fields")+",tenant") // which is there whatever was asked
	}
	return c.listDocuments("clients", "client_id", out)
}

// filters tells whether a document matches a boolean query parameter.
func (c *call) filters(d document, key string) bool {
	wanted := c.query.Get(key)
	on, _ := d[key].(bool)
	return wanted == "" || wanted == "true" && on || wanted == "false" && !on
}

// readClient is GET /api/v2/clients/{id}.
func (t *Tenant) readClient(c *call) reply {
	client := t.clients.get(c.PathValue("id"))
	if client == nil {
		return noClient()
	}
	return answer(http.StatusOK, c.pickFields([]document{client})[0])
}

// updateClient is PATCH /api/v2/clients/{id}. Objects that hold settings are
// merged one level deep.
func (t *Tenant) updateClient(c *call) reply {
	client := t.clients.get(c.PathValue("id"))
	if client == nil {
		return noClient()
	}
	if refused, ok := checkTokenVault(c.fields, false); !ok {
		return refused
	}
	patch := document{}
	for key, value := range c.fields {
		inner, ok := value.(map[string]any)
		if ok && slices.Contains([]string{"jwt_configuration", "refresh_token", "client_metadata"}, key) {
			value = merged(defaults(nested(client, key), nil), inner)
		}
		patch[key] = value
	}
	next := merged(client, patch)
	t.clients.put(next)
	return answer(http.StatusOK, next)
}

// deleteClient is DELETE /api/v2/clients/{id}. Its grants go with it.
func (t *Tenant) deleteClient(c *call) reply {
	id := c.PathValue("id")
	t.clients.remove(id)
	delete(t.credentials, id)
	for _, grant := range t.grants.where(func(d document) bool { return d["client_id"] == id }) {
		t.grants.remove(text(grant, "id"))
	}
	for _, connection := range t.connections.where(func(document) bool { return true }) {
		setEnabled(connection, id, false)
	}
	return reply{status: http.StatusNoContent}
}

// rotateSecret is POST /api/v2/clients/{id}/rotate-secret.
func (t *Tenant) rotateSecret(c *call) reply {
	client := t.clients.get(c.PathValue("id"))
	if client == nil {
		return noClient()
	}
	next := merged(client, document{"client_secret": randomID(alphanumeric, 64)})
	t.clients.put(next)
	return answer(http.StatusOK, next)
}

// listClientConnections is GET /api/v2/clients/{id}/connections.
func (t *Tenant) listClientConnections(c *call) reply {
	id := c.PathValue("id")
	if t.clients.get(id) == nil {
		return noClient()
	}
	all := t.connections.where(func(d document) bool { return slices.Contains(textsOf(d["enabled_clients"]), id) })
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	for i, connection := range all {
		all[i] = defaults(connection, nil)
		for _, key := range []string{"enabled_clients", "authentication", "connected_accounts"} {
			delete(all[i], key)
		}
	}
	return c.listFromCheckpoint("connections", "id", all, p)
}
