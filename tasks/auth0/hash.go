package auth0

import (
	"encoding/json"
	"regexp"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A movedHash is a password hash as a row of a users-imports file carries it
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-import-schema#custom-password-hash).
type movedHash struct {
	key   string // password_hash, or custom_password_hash
	value any
}

var (
	// nativeHash is what Auth0 itself uses: bcrypt at cost 10.
	nativeHash = pattern.Lazy(`^\$2[ab]\$10\$[./A-Za-z0-9]{53}$`)

	// The other forms say by themselves what they are.
	selfDescribing = []struct {
		algorithm string
		form      func() *regexp.Regexp
	}{
		{"bcrypt", pattern.Lazy(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)},
		{"argon2", pattern.Lazy(`^\$argon2(d|i|id)\$[^ ]+\$[^ $]+\$[^ $]+$`)},
		{"pbkdf2", pattern.Lazy(`^\$pbkdf2-[A-Za-z0-9-]+\$[^ ]*\$?[^ $]+\$[^ $]+$`)},
		{"ldap", pattern.Lazy(`^\{(?i:s?md5|s?sha[0-9]*)\}[A-Za-z0-9+/=]+$`)},
	}
)

// hashOf reads a password hash in one of the forms that Auth0 takes, and tells
// whether it is one. Forms that do not say how they were made, such as a bare
// SHA-256, have to be put into the JSON that Auth0 documents.
func hashOf(text string) (movedHash, bool) {
	if nativeHash().MatchString(text) {
		return movedHash{"password_hash", text}, true
	}
	for _, f := range selfDescribing {
		if f.form().MatchString(text) {
			return custom(map[string]any{
				"algorithm": f.algorithm, "hash": map[string]any{"value": text, "encoding": "utf8"},
			}), true
		}
	}
	var given map[string]any
	if json.Unmarshal([]byte(text), &given) != nil {
		return movedHash{}, false
	}
	hash, _ := given["hash"].(map[string]any)
	algorithm, _ := given["algorithm"].(string)
	value, _ := hash["value"].(string)
	return custom(given), algorithm != "" && value != ""
}

func custom(value map[string]any) movedHash { return movedHash{"custom_password_hash", value} }
