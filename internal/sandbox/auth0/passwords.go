package auth0

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// A password is kept as a digest: of the tenant's own if it was set here, or as
// an import brought it. The digest is a fast one, because a tenant in memory has
// nothing to protect and thousands of accounts to create.
type password struct {
	digest   *[sha256.Size]byte
	imported string // a bcrypt hash, or a custom_password_hash in JSON
}

func newPassword(userID, plain string) password {
	digest := sha256.Sum256([]byte(userID + "\x00" + plain))
	return password{digest: &digest}
}

func (p password) matches(userID, plain string) bool {
	if strings.HasPrefix(p.imported, "{") {
		return customMatches(p.imported, plain)
	}
	if p.imported != "" {
		return bcrypt.CompareHashAndPassword([]byte(p.imported), []byte(plain)) == nil
	}
	if p.digest == nil {
		return false
	}
	given := newPassword(userID, plain)
	return subtle.ConstantTimeCompare(given.digest[:], p.digest[:]) == 1
}

func (p password) isSet() bool { return p.digest != nil || p.imported != "" }

// strongEnough applies a connection's password policy, as documented under
// "Password Strength in Auth0 Database Connections". minimum, if not 0, replaces
// the policy's length.
func strongEnough(policy, plain string, minimum int) bool {
	length := map[string]int{"low": 6, "fair": 8, "good": 8, "excellent": 10}[policy]
	if minimum > 0 {
		length = minimum
	}
	if utf8.RuneCountInString(plain) < max(length, 1) {
		return false
	}
	kinds := kindsOf(plain)
	switch policy {
	case "fair":
		return kinds.lower && kinds.upper && kinds.digit
	case "good":
		return kinds.count() >= 3
	case "excellent":
		return kinds.count() >= 3 && !threeInARow(plain)
	}
	return true
}

type characterKinds struct{ lower, upper, digit, special bool }

func kindsOf(s string) (k characterKinds) {
	for _, r := range s {
		switch {
		case unicode.IsLower(r):
			k.lower = true
		case unicode.IsUpper(r):
			k.upper = true
		case unicode.IsDigit(r):
			k.digit = true
		default:
			k.special = true
		}
	}
	return k
}

func (k characterKinds) count() int {
	n := 0
	for _, is := range []bool{k.lower, k.upper, k.digit, k.special} {
		if is {
			n++
		}
	}
	return n
}

func threeInARow(s string) bool {
	for _, r := range s {
		if strings.Contains(s, strings.Repeat(string(r), 3)) {
			return true
		}
	}
	return false
}

// personal tells whether a password holds something of its user, for
// connections that forbid it.
func personal(u *user, plain string) bool {
	local, _, _ := strings.Cut(u.email, "@")
	for _, part := range []string{u.name, u.username, u.nickname, local} {
		if len(part) > 2 && strings.Contains(strings.ToLower(plain), strings.ToLower(part)) {
			return true
		}
	}
	return false
}
