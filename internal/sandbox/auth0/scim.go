package auth0

import (
	"crypto/sha1" //nolint:gosec // the API shows SHA-1 fingerprints of keys
	"fmt"
	"net/http"
	"strings"
)

// defaultMapping is what a SCIM configuration maps unless it says otherwise: the
// SCIM attribute and Auth0's, as recorded. That of Okta and OpenID Connect.
const defaultMapping = `userName=preferred_username
emails[primary eq true].value=email
externalId=app_metadata.external_id
active=blocked
displayName=name
name.givenName=given_name
name.familyName=family_name
name.middleName=app_metadata.middle_name
name.honorificPrefix=app_metadata.honorific_prefix
name.honorificSuffix=app_metadata.honorific_suffix
nickName=nickname
photos[type eq "photo"].value=picture`

func defaultMappings() []any {
	var all []any
	for line := range strings.Lines(defaultMapping) {
		scim, auth0, _ := strings.Cut(strings.TrimSpace(line), "=")
		all = append(all, document{"scim": scim, "auth0": auth0})
	}
	return all
}

func scimSchema(required ...string) *schema {
	pair := object([]string{"auth0", "scim"}, map[string]schema{"auth0": {kind: "string"}, "scim": {kind: "string"}})
	return object(required, map[string]schema{
		"user_id_attribute": {kind: "string"}, "mapping": {kind: "array", items: pair},
	})
}

func scimTokenSchema() *schema {
	return object(nil, map[string]schema{
		"scopes": {kind: "array", items: &schema{kind: "string"}}, "token_lifetime": {},
	})
}

func scimEndpoints() []endpoint {
	const at = " /api/v2/connections/{id}/scim-configuration"
	return []endpoint{
		{"POST" + at, one("create:scim_config"), scimSchema(), (*Tenant).createSCIM},
		{"GET" + at, one("read:scim_config"), nil, (*Tenant).readSCIM},
		{"PATCH" + at, one("update:scim_config"), scimSchema("user_id_attribute", "mapping"), (*Tenant).updateSCIM},
		{"DELETE" + at, one("delete:scim_config"), nil, (*Tenant).deleteSCIM},
		{"GET" + at + "/default-mapping", one("read:scim_config"), nil, (*Tenant).readDefaultMapping},
		{"POST" + at + "/tokens", one("create:scim_token"), scimTokenSchema(), (*Tenant).createSCIMToken},
		{"GET" + at + "/tokens", one("read:scim_token"), nil, (*Tenant).listSCIMTokens},
		{"DELETE" + at + "/tokens/{token}", one("delete:scim_token"), nil, (*Tenant).deleteSCIMToken},
		{"GET /api/v2/connections/{id}/keys", one("read:connections_keys"), nil, (*Tenant).readKeys},
		{"POST /api/v2/connections/{id}/keys/rotate", one("update:connections_keys"), nil, (*Tenant).rotateKeys},
	}
}

// createSCIM is POST /api/v2/connections/{id}/scim-configuration.
func (t *Tenant) createSCIM(c *call) reply {
	id := c.PathValue("id")
	connection := t.connections.get(id)
	switch {
	case connection == nil:
		return noConnection()
	case t.scim[id] != nil:
		return conflict("SCIM configuration already exists for the connection.", "")
	}
	t.scim[id] = defaults(c.fields, document{
		"tenant_name": c.domain, "connection_id": id, "connection_name": connection["name"],
		"strategy": connection["strategy"], "mapping": defaultMappings(), "user_id_attribute": "externalId",
		"created_at": timestamp(c.now), "updated_on": timestamp(c.now),
	})
	return answer(http.StatusCreated, t.scim[id])
}

func noSCIM() reply { return notFound("Not Found", "") }

// readSCIM is GET of the same.
func (t *Tenant) readSCIM(c *call) reply {
	if found := t.scim[c.PathValue("id")]; found != nil {
		return answer(http.StatusOK, found)
	}
	return noSCIM()
}

// updateSCIM is PATCH of the same.
func (t *Tenant) updateSCIM(c *call) reply {
	id := c.PathValue("id")
	if t.scim[id] == nil {
		return noSCIM()
	}
	t.scim[id] = merged(t.scim[id], defaults(c.fields, document{"updated_on": timestamp(c.now)}))
	return answer(http.StatusOK, t.scim[id])
}

// deleteSCIM is DELETE of the same, with its tokens.
func (t *Tenant) deleteSCIM(c *call) reply {
	delete(t.scim, c.PathValue("id"))
	delete(t.scimTokens, c.PathValue("id"))
	return reply{status: http.StatusNoContent}
}

// readDefaultMapping is GET .../scim-configuration/default-mapping.
func (t *Tenant) readDefaultMapping(c *call) reply {
	if t.connections.get(c.PathValue("id")) == nil {
		return noConnection()
	}
	return answer(http.StatusOK, document{"mapping": defaultMappings()})
}

// createSCIMToken is POST .../scim-configuration/tokens. The token is shown once.
func (t *Tenant) createSCIMToken(c *call) reply {
	id := c.PathValue("id")
	if t.scim[id] == nil {
		return noSCIM()
	}
	if t.scimTokens[id] == nil {
		t.scimTokens[id] = newDocuments("token_id")
	}
	token := document{
		"token_id": "tok_" + randomID(alphanumeric, 16), "created_at": timestamp(c.now), "scopes": c.fields["scopes"],
	}
	t.scimTokens[id].put(token)
	return answer(http.StatusCreated, defaults(token, document{"token": "tok_" + randomID(alphanumeric, 40)}))
}

// listSCIMTokens is GET of the same.
func (t *Tenant) listSCIMTokens(c *call) reply {
	tokens := t.scimTokens[c.PathValue("id")]
	if tokens == nil {
		return answer(http.StatusOK, []document{})
	}
	return answer(http.StatusOK, tokens.where(func(document) bool { return true }))
}

// deleteSCIMToken is DELETE .../scim-configuration/tokens/{token}.
func (t *Tenant) deleteSCIMToken(c *call) reply {
	if tokens := t.scimTokens[c.PathValue("id")]; tokens != nil {
		tokens.remove(c.PathValue("token"))
	}
	return reply{status: http.StatusNoContent}
}

// newKey makes what the API shows of a key of a connection. There is no key
// behind it: nobody here signs with one.
func newKey(connection document) document {
	kid := randomID(alphanumeric, 43)
	sum := fmt.Sprintf("%X", sha1.Sum([]byte(kid))) //nolint:gosec // a fingerprint, no protection
	pairs := make([]string, 0, len(sum)/2)
	for i := 0; i < len(sum); i += 2 {
		pairs = append(pairs, sum[i:i+2])
	}
	return document{
		"kid": kid, "algorithm": "RS256", "key_use": "signing", "subject_dn": "/CN=" + text(connection, "name"),
		"cert": "-----BEGIN CERTIFICATE-----", "pkcs": "-----BEGIN PKCS7-----",
		"fingerprint": strings.Join(pairs, ":"), "thumbprint": sum,
	}
}

// keysOf returns a connection's keys by their part: current, next and previous.
func (t *Tenant) keysOf(connection document, c *call) map[string]document {
	id := text(connection, "id")
	if t.keys[id] == nil {
		t.keys[id] = map[string]document{"next": newKey(connection), "current": newKey(connection)}
		t.keys[id]["current"]["current_since"] = timestamp(c.now)
	}
	return t.keys[id]
}

// readKeys is GET /api/v2/connections/{id}/keys.
func (t *Tenant) readKeys(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	all := []document{}
	keys := t.keysOf(connection, c)
	for _, part := range []string{"current", "previous", "next"} {
		if key := keys[part]; key != nil {
			all = append(all, defaults(key, document{part: true}))
		}
	}
	return answer(http.StatusOK, all)
}

// rotateKeys is POST /api/v2/connections/{id}/keys/rotate.
func (t *Tenant) rotateKeys(c *call) reply {
	connection := t.connections.get(c.PathValue("id"))
	if connection == nil {
		return noConnection()
	}
	keys := t.keysOf(connection, c)
	previous, current := keys["current"], keys["next"]
	delete(previous, "current_since")
	current["current_since"] = timestamp(c.now)
	next := newKey(connection)
	t.keys[text(connection, "id")] = map[string]document{"previous": previous, "current": current, "next": next}
	return answer(http.StatusCreated, defaults(next, document{"next": true}))
}
