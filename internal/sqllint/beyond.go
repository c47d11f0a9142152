package sqllint

import (
	"slices"
	"strings"
)

// Beyond names the kind of the first statement in the text whose effect goes beyond
// the database that it is run in, or is "" if there is none: roles, databases,
// tablespaces and settings are the whole server's, and a statement that names a
// database means that one, in whichever copy it is run. What a DO block or a function
// does, the text does not show.
func Beyond(sql string) string {
	all, _ := lex(sql)
	for _, s := range statements(all) {
		if kind := s.beyond(); kind != "" {
			return kind
		}
	}
	return ""
}

// shared are the objects that belong to the server and not to one of its databases.
// A subscription belongs to one, but writes to another server.
var shared = []string{"database", "role", "user", "group", "tablespace", "subscription", "system", "parameter"}

func (ts tokens) beyond() string {
	if len(ts) < 2 || ts[1:].starts("user", "mapping") { // which is of a foreign server, and local
		return ""
	}
	on := ts.index("on")
	of := ""
	if on >= 0 && on+1 < len(ts) && ts[on+1].kind == word && slices.Contains(shared, ts[on+1].text) {
		of = ts[on+1].text
	}
	kind := ts[0].text
	switch {
	case ts.starts("create"), ts.starts("alter"), ts.starts("drop"):
		if ts.starts("drop", "owned") || ts[1].kind == word && slices.Contains(shared, ts[1].text) {
			return strings.ToUpper(kind + " " + ts[1].text)
		}
	case ts.starts("reassign", "owned"):
		return "REASSIGN OWNED"
	case ts.starts("comment"), ts.starts("grant"), ts.starts("revoke"):
		if of != "" {
			return strings.ToUpper(kind + " on " + of)
		}
		if on < 0 { // a privilege is on an object, a membership is not
			return strings.ToUpper(kind + " of a role")
		}
	case ts.starts("security", "label"):
		if of != "" {
			return strings.ToUpper("security label on " + of)
		}
	}
	return ""
}
