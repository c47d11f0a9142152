package auth0

import "net/http"

// What hangs on browser sessions: nobody logs in with a browser here, so a user
// has none of it, and taking it away finds nothing.

func sessionEndpoints() []endpoint {
	const at = " /api/v2/users/{id}/"
	done := func(status int) func(*Tenant, *call) reply {
		return func(t *Tenant, c *call) reply { return t.ofUser(c, reply{status: status}) }
	}
	none := func(body any) func(*Tenant, *call) reply {
		return func(t *Tenant, c *call) reply { return t.ofUser(c, answer(http.StatusOK, body)) }
	}
	accepted := func(t *Tenant, c *call) reply { return t.ofUser(c, empty(http.StatusAccepted)) }
	return []endpoint{
		{"GET" + at + "enrollments", one("read:users"), nil, none([]any{})},
		{"GET" + at + "logs", one("read:logs", "read:logs_users"), nil, none([]any{})},
		{"GET" + at + "sessions", one("read:sessions"), nil, none(document{"sessions": []any{}})},
		{"DELETE" + at + "sessions", one("delete:sessions"), nil, accepted},
		{"GET" + at + "refresh-tokens", one("read:refresh_tokens"), nil, none(document{"tokens": []any{}, "total": 0})},
		{"DELETE" + at + "refresh-tokens", one("delete:refresh_tokens"), nil, accepted},
		{"GET" + at + "connected-accounts", one("read:users"), nil, none(document{"connected_accounts": []any{}})},
		{"GET" + at + "federated-connections-tokensets", one("read:federated_connections_tokens"), nil, none([]any{})},
		{"DELETE" + at + "federated-connections-tokensets/{set}", one("delete:federated_connections_tokens"), nil, done(http.StatusNoContent)},
		{"POST" + at + "multifactor/actions/invalidate-remember-browser", one("update:users"), nil, done(http.StatusNoContent)},
		{"POST" + at + "risk-assessments/clear", one("update:users"), object([]string{"connection", "assessors"}, anyOf("connection assessors")), done(http.StatusNoContent)},
		{"POST" + at + "recovery-code-regeneration", one("update:users"), nil, (*Tenant).newRecoveryCode},
		{"POST" + at + "identities", one("update:users"), linkSchema(), (*Tenant).linkIdentity},
		{"DELETE" + at + "identities/{provider}/{user}", one("update:users"), nil, (*Tenant).unlinkIdentity},
	}
}

// ofUser answers so if the user of the path is there.
func (t *Tenant) ofUser(c *call, out reply) reply {
	if t.users.byID[c.PathValue("id")] == nil {
		return noUser()
	}
	return out
}

// newRecoveryCode is POST /api/v2/users/{id}/recovery-code-regeneration.
func (t *Tenant) newRecoveryCode(c *call) reply {
	return t.ofUser(c, answer(http.StatusOK, document{"recovery_code": randomID(recoveryCode, 24)}))
}

const recoveryCode = "ABCDEFGHJKLMNPQRSTUVWXYZ123456789"
