package plan

import (
	"strings"
	"testing"
)

// A run that began with one database is not gone on with on another, however the
// database is named; with a new password it is.
func TestADatabaseIsToldApartHoweverItIsNamedAndAPasswordIsNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ was, renewed, other string }{
		{"postgres://u:hunter2@h:5432/app", "postgres://u:fresh@h:5432/app", "postgres://u:hunter2@h:5432/other"},
		{"postgres:///app?host=/run/pg", "", "postgres:///app?host=/tmp/pg"},
		{"postgres://u:hunter2@/app?host=/run/pg", "postgres://u:fresh@/app?host=/run/pg", "postgres://u:hunter2@/other?host=/run/pg"},
		{"postgres:///app?password=hunter2&host=/run/pg", "postgres:///app?password=fresh&host=/run/pg", "postgres:///app?password=hunter2&host=/tmp"},
		{"postgres://u:hunter2@h1:5432,h2:5432/app", "postgres://u:fresh@h1:5432,h2:5432/app", "postgres://u:hunter2@h1:5432,h3:5432/app"},
		{"host=h password=hunter2 dbname=app", "host=h password=fresh dbname=app", "host=h password=hunter2 dbname=other"},
		{`host=h password = 'hun \'ter2' dbname=app`, `host=h password = 'fresh' dbname=app`, `host=g password = 'hun \'ter2' dbname=app`},
		{"service=prod sslpassword=hunter2", "service=prod sslpassword=fresh", "service=stage sslpassword=hunter2"},
	} {
		was, ok := whereabouts(c.was)
		if !ok || strings.Contains(was, "hun") || strings.Contains(was, "ter2") {
			t.Errorf("of %s it tells %q, %t", c.was, was, ok)
		}
		if renewed, _ := whereabouts(c.renewed); c.renewed != "" && renewed != was {
			t.Errorf("a new password is another database: %q and %q", was, renewed)
		}
		if other, _ := whereabouts(c.other); other == was {
			t.Errorf("%s and %s are one database", c.was, c.other)
		}
	}
	for _, token := range []string{"hunter2", "eyJhbGciOiJIUzI1NiJ9.e30.x", "postgres://u:hun/ter@2@h/app", ""} {
		if told, ok := whereabouts(token); ok {
			t.Errorf("of %q it tells %q", token, told)
		}
	}
}
