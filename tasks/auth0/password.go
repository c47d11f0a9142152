package auth0

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/medlogistics/phasegate/internal/redact"
)

// temporaryPassword returns a random password that nobody ever learns: it is
// sent once and kept nowhere. It has 192 random bits in 32 characters, and meets
// the strictest of Auth0's policies, "excellent": ten characters or more, upper
// and lower case, digits and signs, none three times in a row
// (https://auth0.com/docs/authenticate/database-connections/password-strength).
func temporaryPassword() redact.Secret {
	for {
		random := make([]byte, 24)
		_, _ = rand.Read(random) // never fails: it ends the program instead
		password := base64.RawURLEncoding.EncodeToString(random) + "-aZ7"
		if !thrice(password) {
			return redact.NewSecret(password)
		}
	}
}

// thrice tells whether a character stands three times in a row.
func thrice(s string) bool {
	for i := 2; i < len(s); i++ {
		if s[i] == s[i-1] && s[i] == s[i-2] {
			return true
		}
	}
	return false
}
