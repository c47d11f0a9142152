package auth0

import (
	"net/http"
	"net/netip"
)

func credentialSchema() *schema {
	return object([]string{"credential_type"}, with(anyOf("subject_dn kid parse_expiry_from_cert expires_at"), map[string]schema{
		"credential_type": {kind: "string", enum: []string{"public_key", "cert_subject_dn", "x509_cert"}, about: "The type of credential."},
		"name":            {kind: "string", longest: 128, about: "Friendly name for a credential."},
		"pem":             {kind: "string", longest: 4096, about: "PEM-formatted public key or X509 certificate."},
		"alg":             {kind: "string", enum: []string{"RS256", "RS384", "PS256"}, about: "Algorithm which will be used with the credential."},
	}))
}

// keep remembers a key of an application.
func (t *Tenant) keep(clientID string, key document) {
	if t.credentials[clientID] == nil {
		t.credentials[clientID] = newDocuments("id")
	}
	t.credentials[clientID].put(key)
}

// expiring is a key as it is read: with its end, or null.
func expiring(key document) document { return defaults(key, document{"expires_at": nil}) }

// createCredential is POST /api/v2/clients/{id}/credentials.
func (t *Tenant) createCredential(c *call) reply {
	id := c.PathValue("id")
	if t.clients.get(id) == nil {
		return noClient()
	}
	if c.text("pem") == "" && c.text("subject_dn") == "" {
		return missingProperty("pem")
	}
	key := credential(c.fields, c.now)
	for _, given := range []string{"expires_at", "kid"} {
		if value := c.text(given); value != "" {
			key[given] = value
		}
	}
	t.keep(id, key)
	return answer(http.StatusCreated, key)
}

// listCredentials is GET /api/v2/clients/{id}/credentials.
func (t *Tenant) listCredentials(c *call) reply {
	all := []document{}
	if keys := t.credentials[c.PathValue("id")]; keys != nil {
		for _, id := range keys.order {
			all = append(all, expiring(keys.get(id)))
		}
	}
	return answer(http.StatusOK, all)
}

func (t *Tenant) credential(c *call) document {
	if keys := t.credentials[c.PathValue("id")]; keys != nil {
		return keys.get(c.PathValue("credential"))
	}
	return nil
}

// readCredential is GET /api/v2/clients/{id}/credentials/{credential}.
func (t *Tenant) readCredential(c *call) reply {
	key := t.credential(c)
	if key == nil {
		return notFound("The credential does not exist.", "inexistent_credential")
	}
	return answer(http.StatusOK, expiring(key))
}

// updateCredential is PATCH of the same. Only its end can be changed.
func (t *Tenant) updateCredential(c *call) reply {
	key := t.credential(c)
	if key == nil {
		return notFound("The credential does not exist.", "inexistent_credential")
	}
	next := merged(key, document{"updated_at": timestamp(c.now), "expires_at": c.fields["expires_at"]})
	t.credentials[c.PathValue("id")].put(next)
	return answer(http.StatusOK, next)
}

// deleteCredential is DELETE of the same.
func (t *Tenant) deleteCredential(c *call) reply {
	if keys := t.credentials[c.PathValue("id")]; keys != nil {
		keys.remove(c.PathValue("credential"))
	}
	return reply{status: http.StatusNoContent}
}

// checkTokenVault holds what an application with privileged access to the token
// vault has to say of it: all three parts, and on creation none of them empty.
// Limits as recorded in the SDK's TestClient_TokenVaultPrivilegedAccessValidation.
func checkTokenVault(fields document, creating bool) (reply, bool) {
	access, given := fields["token_vault_privileged_access"].(map[string]any)
	if !given {
		return reply{}, true
	}
	parts := map[string][]any{}
	for key, most := range map[string]int{"credentials": 2, "ip_allowlist": 10, "grants": 5} {
		list, ok := access[key].([]any)
		switch {
		case !ok:
			return badRequest("Payload validation error: 'Missing required property: "+key+"' on property token_vault_privileged_access.", "invalid_body"), false
		case len(list) > most || len(list) == 0 && (creating || key == "credentials"):
			return badRequest("Payload validation error: 'Array has the wrong length' on property token_vault_privileged_access."+key+".", "invalid_body"), false
		}
		parts[key] = list
	}
	for _, item := range parts["ip_allowlist"] {
		address, _ := item.(string)
		_, err1 := netip.ParseAddr(address)
		_, err2 := netip.ParsePrefix(address)
		if err1 != nil && err2 != nil {
			return badRequest("Payload validation error: 'Not an IP address' on property token_vault_privileged_access.ip_allowlist.", "invalid_body"), false
		}
	}
	scopes, connections := 0, map[string]bool{}
	for _, item := range parts["grants"] {
		grant, _ := item.(map[string]any)
		scopes += len(textsOf(grant["scopes"]))
		connections[text(grant, "connection")] = true
	}
	if scopes > 20 || len(connections) < len(parts["grants"]) {
		return badRequest("Payload validation error: 'Too many scopes, or a connection twice' on property token_vault_privileged_access.grants.", "invalid_body"), false
	}
	return reply{}, true
}
