package plan

import (
	"net/url"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// The forms of a connection string that net/url does not take: a URL without a
// host, which leads to a socket, or with several, and libpq's keywords and values.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
var (
	address  = pattern.Lazy(`^([a-z][a-z0-9+.-]*://)(?:([^:@/?#]*)(?::[^@/]*)?@)?(.*)$`)
	hidden   = pattern.Lazy(`(?i)[?&](ssl)?password=[^&]*`)
	keywords = pattern.Lazy(`(?i)(^|\s)(host|hostaddr|dbname|service)\s*=`)
	phrase   = pattern.Lazy(`(?i)(ssl)?password\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)`)
)

// whereabouts is what a secret says of where it leads, if it is a connection
// string: all of it but its passwords.
func whereabouts(secret string) (string, bool) {
	if u, err := url.Parse(secret); err == nil && u.Host != "" {
		u.User = url.User(u.User.Username())
		return u.String(), true
	}
	if m := address().FindStringSubmatch(secret); m != nil {
		if strings.Contains(m[3], "@") { // it may be a part of a password
			return "", false
		}
		return m[1] + m[2] + "@" + hidden().ReplaceAllString(m[3], ""), true
	}
	if keywords().MatchString(secret) {
		return phrase().ReplaceAllString(secret, ""), true
	}
	return "", false
}
