package auth0

import "net/http"

// updateUser is PATCH /api/v2/users/{id}.
func (t *Tenant) updateUser(c *call) reply {
	u := t.users.byID[c.PathValue("id")]
	if u == nil {
		return noUser()
	}
	if refused, ok := checkTogether(c.fields); !ok {
		return refused
	}
	connection := t.connections.find(func(d document) bool { return d["name"] == u.connection })
	if name := c.text("connection"); name != "" && name != u.connection {
		return badRequest("The user does not exist in that connection.", "invalid_body")
	}
	before, next := *u, *u
	next.fill(c.fields)
	if refused, ok := t.checkUpdate(c, connection, u, &next); !ok {
		return refused
	}
	next.updated = c.now.UnixMilli()
	if plain := c.text("password"); plain != "" {
		next.password = newPassword(u.id, plain)
		next.reset = next.updated
	}
	t.users.unlink(u)
	*u = next
	t.users.link(u)
	t.changing(u, &before, c.now)
	if c.flag("verify_email") && !u.has(verified) {
		t.mail("verify_email", u.id, c.now)
	}
	return answer(http.StatusOK, u.view())
}

// checkTogether refuses what cannot be changed in one request.
func checkTogether(fields map[string]any) (reply, bool) {
	has := func(key string) bool { _, ok := fields[key]; return ok }
	if len(fields) == 0 {
		return badRequest("Payload validation error: 'Too few properties defined (0), minimum 1'.", "invalid_body"), false
	}
	for _, other := range []string{"email", "email_verified", "username"} {
		if has("password") && has(other) {
			return badRequest("Cannot update password and "+other+" simultaneously", "operation_not_supported"), false
		}
	}
	if has("username") && (has("email") || has("email_verified")) {
		return badRequest("Cannot update username and email simultaneously", "operation_not_supported"), false
	}
	return reply{}, true
}

func (t *Tenant) checkUpdate(c *call, connection document, u, next *user) (reply, bool) {
	if next.email != u.email {
		if other := t.users.in(u.connection, next.email); other != nil {
			return badRequest("The specified new email already exists", "auth0_idp_error"), false
		}
	}
	if next.username != u.username {
		if refused, ok := checkUsername(connection, next.username, false); !ok {
			return refused, false
		}
		if t.users.named(u.connection, next.username) != nil {
			return badRequest("The specified new username already exists", "auth0_idp_error"), false
		}
	}
	if refused, ok := next.checkMetadata(); !ok {
		return refused, false
	}
	return checkPassword(connection, next, c.text("password"))
}
