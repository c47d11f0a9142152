package auth0

import (
	"net/http"
	"slices"
	"strings"
)

// blockedAs returns the names by which a request asks for brute-force blocks:
// those of the user in the path, or the parameter identifier.
func (t *Tenant) blockedAs(c *call) ([]string, reply, bool) {
	id := c.PathValue("id")
	if id == "" {
		identifier := strings.ToLower(c.query.Get("identifier"))
		if identifier == "" {
			return nil, badRequest("Query validation error: 'Missing required property: identifier'.", "invalid_query_string"), false
		}
		return []string{identifier}, reply{}, true
	}
	u := t.users.byID[id]
	if u == nil {
		return nil, noUser(), false
	}
	return []string{u.email, u.username}, reply{}, true
}

// readBlocks is GET /api/v2/user-blocks and GET /api/v2/user-blocks/{id}.
func (t *Tenant) readBlocks(c *call) reply {
	names, refused, ok := t.blockedAs(c)
	if !ok {
		return refused
	}
	found := []document{}
	for _, record := range t.logins {
		if record.failures >= mostFailures && slices.Contains(names, record.login) {
			found = append(found, document{"identifier": record.login, "ip": record.ip})
		}
	}
	return answer(http.StatusOK, document{"blocked_for": found})
}

// deleteBlocks is DELETE of the same.
func (t *Tenant) deleteBlocks(c *call) reply {
	names, refused, ok := t.blockedAs(c)
	if !ok {
		return refused
	}
	for _, record := range t.logins {
		if slices.Contains(names, record.login) {
			record.failures = 0
		}
	}
	return reply{status: http.StatusNoContent}
}
