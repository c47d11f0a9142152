package auth0

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// searchUsers is GET /api/v2/users: by the search index, which lags behind, and
// only as deep as a thousand users.
func (t *Tenant) searchUsers(c *call) reply {
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	if p.start+p.size > deepest {
		return badRequest("You can only page through the first 1000 records. See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation", "invalid_paging")
	}
	matches, err := parseQuery(c.query.Get("q"))
	if err != nil {
		return badRequest("Query validation error: '"+err.Error()+"' on property q (Query in Lucene query string syntax).", "invalid_query_string")
	}
	connection := c.query.Get("connection")
	var found []*user
	for _, u := range t.users.order {
		shown := u.inIndex(c.now)
		if shown != nil && (connection == "" || shown.connection == connection) && matches(shown) {
			found = append(found, shown)
		}
	}
	sortUsers(found, c.query.Get("sort"))
	views := []any{}
	for _, u := range slice(found, p) {
		views = append(views, selected(u.view(), c.query))
	}
	if !p.totals {
		return answer(http.StatusOK, views)
	}
	return answer(http.StatusOK, document{
		"start": p.start, "limit": p.size, "length": len(views), "users": views, "total": len(found),
	})
}

// sortUsers sorts by "field:1" or "field:-1".
func sortUsers(users []*user, by string) {
	field, direction, _ := strings.Cut(by, ":")
	if field == "" {
		return
	}
	sign := 1
	if direction == "-1" {
		sign = -1
	}
	slices.SortStableFunc(users, func(a, b *user) int {
		return sign * cmp.Compare(a.fieldText(field), b.fieldText(field))
	})
}

// fieldText returns the text of a field in the index, several joined by a zero
// byte, "" if it is not there. Metadata is looked into by path.
func (u *user) fieldText(field string) string {
	switch field {
	case "user_id":
		return u.id
	case "email":
		return u.email
	case "name":
		return u.displayName()
	case "nickname":
		return u.displayNickname()
	case "username":
		return u.username
	case "identities.connection":
		return u.connection
	case "created_at":
		return millis(u.created)
	case "updated_at":
		return millis(u.updated)
	}
	path := strings.Split(field, ".")
	switch path[0] {
	case "app_metadata":
		return textIn(u.appMeta, path[1:])
	case "user_metadata":
		return textIn(u.userMeta, path[1:])
	}
	return textAt(toObject(u.view()), path)
}

func textIn(data []byte, path []string) string {
	if data == nil {
		return ""
	}
	return textAt(toObject(json.RawMessage(data)), path)
}

// textAt returns the text of what a path leads to; a path goes through every
// item of a list.
func textAt(value any, path []string) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		var parts []string
		for _, item := range v {
			if s := textAt(item, path); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, "\x00")
	case map[string]any:
		if len(path) == 0 {
			return ""
		}
		return textAt(v[path[0]], path[1:])
	}
	if len(path) > 0 {
		return ""
	}
	return csvText(value)
}

func csvText(value any) string {
	return strings.TrimPrefix(csvValue(value, ""), "'")
}
