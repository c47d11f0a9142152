package auth0

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what users bring along
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// A customHash is the custom_password_hash of an imported user
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-import-database-schema-and-examples).
// Hashes by argon2d and md4 are kept like the others, but match no password.
type customHash struct {
	Algorithm string `json:"algorithm"`
	Hash      struct {
		encoded
		Digest string  `json:"digest"` // of hmac
		Key    encoded `json:"key"`    // of hmac
	} `json:"hash"`
	Salt struct {
		encoded
		Position string `json:"position"` // prefix or suffix
	} `json:"salt"`
	Password struct {
		Encoding string `json:"encoding"`
	} `json:"password"`

	KeyLength       int `json:"keylen"` // of scrypt, as are the next ones
	Cost            int `json:"cost"`
	BlockSize       int `json:"blockSize"`
	Parallelization int `json:"parallelization"`
}

// encoded is a text that stands for bytes.
type encoded struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"` // base64, hex, or utf8 if empty
}

// bytes returns what the text stands for, nil if it is not in its encoding.
func (e encoded) bytes() []byte {
	var out []byte
	var err error
	switch e.Encoding {
	case "base64":
		out, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(e.Value, "="))
	case "hex":
		out, err = hex.DecodeString(e.Value)
	default:
		return []byte(e.Value)
	}
	if err != nil {
		return nil
	}
	return out
}

// customMatches tells whether a password is that of a custom_password_hash, in JSON.
func customMatches(text, plain string) bool {
	var h customHash
	if json.Unmarshal([]byte(text), &h) != nil {
		return false
	}
	given := inEncoding(plain, h.Password.Encoding)
	switch h.Algorithm {
	case "bcrypt":
		return bcrypt.CompareHashAndPassword(h.Hash.bytes(), given) == nil
	case "argon2", "pbkdf2":
		return phcMatches(h.Hash.Value, given)
	case "ldap":
		return ldapMatches(h.Hash.Value, given)
	}
	return equal(h.Hash.bytes(), h.computed(given))
}

// computed returns the hash of a password by the algorithms whose parameters stand
// in the JSON, nil for others.
func (h customHash) computed(given []byte) []byte {
	salt := h.Salt.bytes()
	switch h.Algorithm {
	case "scrypt":
		key, err := scrypt.Key(given, salt, h.Cost, h.BlockSize, h.Parallelization, h.KeyLength)
		if err != nil {
			return nil
		}
		return key
	case "hmac":
		newDigest := digests(h.Hash.Digest)
		if newDigest == nil {
			return nil
		}
		mac := hmac.New(newDigest, h.Hash.Key.bytes())
		mac.Write(given)
		return mac.Sum(nil)
	}
	if h.Salt.Position == "prefix" {
		return digest(h.Algorithm, salt, given)
	}
	return digest(h.Algorithm, given, salt)
}

// equal compares two hashes. A missing one equals none.
func equal(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

// inEncoding writes a password as it was before it was hashed.
func inEncoding(plain, encoding string) []byte {
	if encoding != "utf16le" {
		return []byte(plain)
	}
	var out []byte
	for _, unit := range utf16.Encode([]rune(plain)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

// digests returns the digest of a name, nil if there is none.
func digests(name string) func() hash.Hash {
	switch strings.ToLower(name) {
	case "md5":
		return md5.New
	case "sha", "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}

// digest returns the digest of some parts, nil if there is none of that name.
func digest(name string, parts ...[]byte) []byte {
	newDigest := digests(name)
	if newDigest == nil {
		return nil
	}
	d := newDigest()
	for _, part := range parts {
		d.Write(part)
	}
	return d.Sum(nil)
}

// ldapMatches compares with a userPassword of LDAP (RFC 2307), such as {SSHA}...:
// the digest, behind which stands the salt of those with an S in front.
func ldapMatches(text string, given []byte) bool {
	scheme, coded, _ := strings.Cut(strings.TrimPrefix(text, "{"), "}")
	raw := encoded{coded, "base64"}.bytes()
	name, salted := strings.CutPrefix(strings.ToLower(scheme), "s")
	if !salted || strings.HasPrefix(name, "ha") { // {SHA} is not salted
		name, salted = strings.ToLower(scheme), false
	}
	newDigest := digests(name)
	if newDigest == nil || len(raw) < newDigest().Size() {
		return false
	}
	size := newDigest().Size()
	if !salted && len(raw) > size {
		return false
	}
	return equal(raw[:size], digest(name, given, raw[size:]))
}
