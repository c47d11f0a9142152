package auth0

import (
	"crypto/pbkdf2"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// A phc is a hash in the PHC's string format, such as
// $argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA
// (https://github.com/P-H-C/phc-string-format).
type phc struct {
	id         string
	parameters map[string]int
	salt, hash []byte
}

// parsePHC reads a hash, and tells whether it is one.
func parsePHC(text string) (p phc, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) < 4 || parts[0] != "" {
		return p, false
	}
	n := len(parts)
	p.id, p.parameters = parts[1], map[string]int{}
	for _, part := range parts[2 : n-2] {
		for pair := range strings.SplitSeq(part, ",") {
			key, value, _ := strings.Cut(pair, "=")
			number, err := strconv.Atoi(value)
			if err != nil {
				return p, false
			}
			p.parameters[key] = number
		}
	}
	var errs [2]error
	p.salt, errs[0] = base64.RawStdEncoding.DecodeString(parts[n-2])
	p.hash, errs[1] = base64.RawStdEncoding.DecodeString(parts[n-1])
	return p, errs == [2]error{}
}

// phcMatches tells whether a password is that of an argon2 or pbkdf2 hash.
func phcMatches(text string, given []byte) bool {
	p, ok := parsePHC(text)
	if !ok {
		return false
	}
	name, isPBKDF2 := strings.CutPrefix(p.id, "pbkdf2-")
	switch {
	case isPBKDF2 && digests(name) != nil:
		key, err := pbkdf2.Key(digests(name), string(given), p.salt, p.parameters["i"], len(p.hash))
		return err == nil && equal(p.hash, key)
	case p.id == "argon2i" || p.id == "argon2id":
		return equal(p.hash, p.argon2(given))
	}
	return false
}

// argon2 returns the hash of a password with these parameters, nil if they are
// none that the algorithm allows.
func (p phc) argon2(given []byte) []byte {
	time, memory, threads := p.parameters["t"], p.parameters["m"], p.parameters["p"]
	if time < 1 || memory < 1 || threads < 1 || threads > 255 || p.parameters["v"] != argon2.Version {
		return nil
	}
	derive := argon2.IDKey
	if p.id == "argon2i" {
		derive = argon2.Key
	}
	return derive(given, p.salt, uint32(time), uint32(memory), uint8(threads), uint32(len(p.hash)))
}
