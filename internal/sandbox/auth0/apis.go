package auth0

import (
	"net/http"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// managementAPI is how the tenant keeps the identifier of its Management API,
// which on the wire holds the domain.
const managementAPI = "urn:auth0:management-api"

var noAngle = pattern.Lazy(`^[^<>]+$`)

func noAPI() reply {
	return notFound("The resource server does not exist.", "inexistent_resource_server")
}

// inner returns an identifier as the tenant keeps it.
func (c *call) inner(identifier string) string {
	if identifier == "https://"+c.domain+"/api/v2/" || identifier == "http://"+c.domain+"/api/v2/" {
		return managementAPI
	}
	return identifier
}

// outer returns an identifier as it is on the wire.
func (c *call) outer(identifier string) string {
	if identifier == managementAPI {
		return "https://" + c.domain + "/api/v2/"
	}
	return identifier
}

// api returns an API (resource server) by its identifier, nil if there is none.
func (t *Tenant) api(identifier string) document {
	return t.apis.find(func(d document) bool { return d["identifier"] == identifier })
}

// apiByEither finds an API by its id or its identifier.
func (t *Tenant) apiByEither(c *call) document {
	key := c.PathValue("id")
	if api := t.apis.get(key); api != nil {
		return api
	}
	return t.api(c.inner(key))
}

func scopeNames(api document) []string {
	names := []string{}
	scopes, _ := api["scopes"].([]any)
	for _, scope := range scopes {
		d, _ := scope.(map[string]any)
		names = append(names, text(d, "value"))
	}
	return names
}

func scopeDescription(api document, name string) string {
	scopes, _ := api["scopes"].([]any)
	for _, scope := range scopes {
		if d, _ := scope.(map[string]any); text(d, "value") == name {
			return text(d, "description")
		}
	}
	return ""
}

func apiProps() map[string]schema {
	scope := object([]string{"value"}, map[string]schema{
		"value":       {kind: "string", shortest: 1, longest: 280, about: "Value of this scope"},
		"description": {kind: "string", longest: 500, about: "User-friendly description of this scope"},
	})
	props := anyOf(`allow_online_access allow_online_access_with_ephemeral_sessions authorization_details
		authorization_policy consent_policy proof_of_possession signing_secret subject_type_authorization
		token_encryption`)
	for _, key := range []string{"allow_offline_access", "skip_consent_for_verifiable_first_party_clients", "enforce_policies"} {
		props[key] = schema{kind: "boolean"}
	}
	for _, key := range []string{"token_lifetime", "token_lifetime_for_web"} {
		props[key] = schema{kind: "integer"}
	}
	props["name"] = schema{kind: "string", longest: 200, pattern: noAngle, about: "Friendly name for this resource server"}
	props["scopes"] = schema{kind: "array", items: scope, about: "List of permissions (scopes) that this API uses"}
	props["signing_alg"] = schema{kind: "string", enum: []string{"HS256", "RS256", "RS512", "PS256"}}
	props["token_dialect"] = schema{kind: "string", enum: []string{
		"access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz",
	}}
	return props
}

func createAPISchema() *schema {
	return object([]string{"identifier"}, with(apiProps(), map[string]schema{
		"identifier": {kind: "string", shortest: 1, longest: 600, about: "Unique identifier for the API used as the audience parameter"},
	}))
}

func updateAPISchema() *schema { return object(nil, apiProps()) }

// newAPI completes an API as the Management API does.
func newAPI(fields document) document {
	return defaults(fields, document{
		"id": randomID(hexadecimal, 24), "signing_alg": "HS256", "allow_offline_access": false,
		"token_lifetime": 86_400, "token_lifetime_for_web": 7_200,
		"skip_consent_for_verifiable_first_party_clients": false,
		"subject_type_authorization": document{
			"user": document{"policy": "allow_all"}, "client": document{"policy": "require_client_grant"},
		},
	})
}

// systemAPIs are those of Auth0's own that a tenant can switch on, by identifier
// less the tenant's address, with what they bring along (recorded in the SDK's tests).
func systemAPIs() map[string]document {
	deny := document{"user": document{"policy": "allow_all"}, "client": document{"policy": "deny_all"}}
	express := document{
		"name": "Okta OIN Express Configuration API", "signing_alg": "RS256", "token_lifetime": 300, "enforce_policies": true,
		"is_system": true, "subject_type_authorization": deny, "scopes": []any{
			document{"value": "express_configure:sso", "description": "Ability to create SSO configurations"},
			document{"value": "express_configure:scim", "description": "Ability to create scim configurations"},
		},
	}
	account := document{
		"name": "Auth0 My Account API", "signing_alg": "RS256", "token_lifetime": 600, "token_lifetime_for_web": 600,
		"allow_offline_access": true, "skip_consent_for_verifiable_first_party_clients": true, "is_system": true,
		"proof_of_possession": document{"mechanism": "dpop", "required": false},
		"subject_type_authorization": document{
			"user": document{"policy": "require_client_grant"}, "client": document{"policy": "deny_all"},
		},
		"scopes": []any{
			document{"value": "create:me:connected_accounts", "description": "Create Connected Accounts"},
			document{"value": "read:me:connected_accounts", "description": "Read Connected Accounts"},
			document{"value": "delete:me:connected_accounts", "description": "Delete Connected Accounts"},
		},
	}
	return map[string]document{"urn:auth0:express-configure": express, "/me/": account}
}

// apiView is an API as it is on the wire.
func (c *call) apiView(d document) document {
	return defaults(document{"identifier": c.outer(text(d, "identifier"))}, d)
}

// createAPI is POST /api/v2/resource-servers.
func (t *Tenant) createAPI(c *call) reply {
	if t.api(c.inner(c.text("identifier"))) != nil {
		return conflict("A resource server with the same identifier already exists.", "resource_server_conflict")
	}
	api := newAPI(c.fields)
	if ready, ok := systemAPIs()[strings.TrimPrefix(c.text("identifier"), "https://"+c.domain)]; ok {
		api = defaults(ready, api)
	}
	delete(nested(nested(api, "token_encryption"), "encryption_key"), "pem") // is taken, never shown
	t.apis.put(api)
	return answer(http.StatusCreated, c.apiView(api))
}

// listAPIs is GET /api/v2/resource-servers.
func (t *Tenant) listAPIs(c *call) reply {
	wanted := map[string]bool{}
	for _, value := range c.query["identifiers"] {
		for identifier := range strings.SplitSeq(value, ",") {
			wanted[c.inner(identifier)] = true
		}
	}
	all := []document{}
	for _, api := range t.apis.where(func(d document) bool { return len(wanted) == 0 || wanted[text(d, "identifier")] }) {
		all = append(all, c.apiView(api))
	}
	return c.listDocuments("resource_servers", "id", all)
}

// readAPI is GET /api/v2/resource-servers/{id}, by id or identifier.
func (t *Tenant) readAPI(c *call) reply {
	api := t.apiByEither(c)
	if api == nil {
		return noAPI()
	}
	return answer(http.StatusOK, c.apiView(api))
}

// updateAPI is PATCH /api/v2/resource-servers/{id}.
func (t *Tenant) updateAPI(c *call) reply {
	api := t.apiByEither(c)
	if api == nil {
		return noAPI()
	}
	if system, _ := api["is_system"].(bool); system {
		return badRequest("Cannot modify a system resource server.", "operation_not_supported")
	}
	next := merged(api, c.fields)
	t.apis.put(next)
	return answer(http.StatusOK, c.apiView(next))
}

// deleteAPI is DELETE /api/v2/resource-servers/{id}.
func (t *Tenant) deleteAPI(c *call) reply {
	if api := t.apiByEither(c); api != nil && text(api, "identifier") != managementAPI {
		t.apis.remove(text(api, "id"))
		for _, grant := range t.grants.where(func(d document) bool { return d["audience"] == api["identifier"] }) {
			t.grants.remove(text(grant, "id"))
		}
	}
	return reply{status: http.StatusNoContent}
}
