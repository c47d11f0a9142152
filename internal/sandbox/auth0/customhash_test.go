package auth0_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// annas are custom_password_hashes of the password "what Anna always typed" with the
// salt "pepper-and-salt", made by Python's hashlib; those of bcrypt and argon2 by Go.
func annas(t *testing.T) map[string]string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("what Anna always typed"), bcrypt.MinCost)
	must(t, err)
	text := func(algorithm, value string) string {
		return fmt.Sprintf(`{"algorithm":%q,"hash":{"value":%q,"encoding":"utf8"}}`, algorithm, value)
	}
	const salt = `,"salt":{"value":"7065707065722d616e642d73616c74","encoding":"hex"`
	return map[string]string{
		"bcrypt 2a": text("bcrypt", string(hash)),
		"bcrypt 2b": text("bcrypt", strings.Replace(string(hash), "$2a$", "$2b$", 1)),
		"bcrypt 2y": text("bcrypt", strings.Replace(string(hash), "$2a$", "$2y$", 1)),
		"argon2id":  text("argon2", "$argon2id$v=19$m=64,t=1,p=2$cGVwcGVyLWFuZC1zYWx0$I+yTVNGwG3Xjv2xk5GMqRJIuf4EivXL5PEcJekIDx/o"),
		"argon2i":   text("argon2", "$argon2i$v=19$m=64,t=2,p=1$cGVwcGVyLWFuZC1zYWx0$uq5XHs1q/GmnsPLsF3tPKDzYHatgIk0N"),
		"pbkdf2":    text("pbkdf2", "$pbkdf2-sha512$i=1000,l=32$cGVwcGVyLWFuZC1zYWx0$HIFOm1lLV9EAj/ZqpBJ/14m2rWDahI/oIT0zP2XWa0A"),
		"pbkdf2 256": text("pbkdf2",
			"$pbkdf2-sha256$i=1000,l=20$cGVwcGVyLWFuZC1zYWx0$6zdpRZe3fWAATNQT5iYpshK9Ugk"),
		"SSHA":    text("ldap", "{SSHA}KMBLmHYcHg8EOrmmbAIcrmmjU11wZXBwZXItYW5kLXNhbHQ="),
		"SSHA384": text("ldap", "{SSHA384}ur1bxVAMOY7EIpW3bnNL25bq1LfMVJlEKuPoD2wGAZ54RZmwEDTvzSkOmU4OpCvFcGVwcGVyLWFuZC1zYWx0"),
		"MD5":     text("ldap", "{MD5}xogUINVCs2I33vFhTOyt7A=="),
		"md5":     `{"algorithm":"md5","hash":{"value":"c6881420d542b36237def1614cecadec","encoding":"hex"}}`,
		"sha1":    `{"algorithm":"sha1","hash":{"value":"KMBLmHYcHg8EOrmmbAIcrmmjU10=","encoding":"base64"}` + salt + `,"position":"suffix"}}`,
		"sha256":  `{"algorithm":"sha256","hash":{"value":"c28ec786f0587fb10b5d68fb4a439dfbe19d8a4b34fd1d3d54be270d45257a3a","encoding":"hex"}` + salt + `,"position":"prefix"}}`,
		"sha512":  `{"algorithm":"sha512","hash":{"value":"ytEn0n9KkUFGvXpeY5Q1Zf469NCGuQiZk1Lx4uJJSUJDCURb3MQgHOIoYqrwgLXUcS1dM9w5KbmdxiCJTRD+5A==","encoding":"base64"}}`,
		"utf-16":  `{"algorithm":"sha256","hash":{"value":"1556953f834ea49b022b385d4c738146cdc42095143f4559b4b6e0eec7ed4b62","encoding":"hex"},"password":{"encoding":"utf16le"}}`,
		"hmac":    `{"algorithm":"hmac","hash":{"value":"a40f1e2a2c8c3f8fa52d01a011f8bca418d84307b2cc5683c4fd7ecfc2ce939d","encoding":"hex","digest":"sha256","key":{"value":"the key","encoding":"utf8"}}}`,
		"scrypt":  `{"algorithm":"scrypt","hash":{"value":"93057dec7296ced8d69775d1a1afc89251b0e0e62af0e690a5d65a62dfe978ce","encoding":"hex"}` + salt + `},"keylen":32,"cost":1024,"blockSize":8,"parallelization":1}`,
	}
}

func TestWhoeverIsImportedWithAHashLogsInWithTheirPassword(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	var rows []string
	mails := map[string]string{}
	for name, hash := range annas(t) {
		mails[name] = fmt.Sprintf("u%d@example.com", len(rows))
		rows = append(rows, fmt.Sprintf(`{"email":%q,"custom_password_hash":%s}`, mails[name], hash))
	}
	importFile(t, tenant, "["+strings.Join(rows, ",")+"]").want(t, http.StatusAccepted, "")
	if got := tenant.CountUsers(); got != len(rows) {
		t.Fatalf("%d of %d were imported", got, len(rows))
	}
	for name, mail := range mails {
		if a := realm(tenant, mail, "what Anna always typed"); a.status != http.StatusOK {
			t.Errorf("%s: the password is answered with %d %s", name, a.status, a.body)
		}
		for _, wrong := range []string{"what Anna never typed", " "} {
			if a := realm(tenant, mail, wrong); a.status != http.StatusForbidden {
				t.Errorf("%s: a wrong password is answered with %d %s", name, a.status, a.body)
			}
		}
	}
}

// A hash that is broken, or of a kind that is not computed here, opens nothing.
func TestAHashThatIsNoneOpensNothing(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	var rows []string
	for i, hash := range []string{
		`{"algorithm":"bcrypt","hash":{"value":"nonsense"}}`,
		`{"algorithm":"argon2","hash":{"value":"$argon2id$v=19$m=0,t=0,p=0$c2FsdA$aGFzaA"}}`,
		`{"algorithm":"argon2","hash":{"value":"$argon2d$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA"}}`,
		`{"algorithm":"pbkdf2","hash":{"value":"$pbkdf2-sha512$i=none$c2FsdA$aGFzaA"}}`,
		`{"algorithm":"pbkdf2","hash":{"value":"$"}}`,
		`{"algorithm":"ldap","hash":{"value":"{SSHA}c2FsdA=="}}`,
		`{"algorithm":"md5","hash":{"value":"not hex","encoding":"hex"}}`,
		`{"algorithm":"sha256","hash":{"value":""}}`,
		`{"algorithm":"scrypt","hash":{"value":"","encoding":"hex"},"cost":3}`,
		`{"algorithm":"hmac","hash":{"value":"","digest":"crc32"}}`,
		`{"algorithm":"md4","hash":{"value":"00","encoding":"hex"}}`,
	} {
		rows = append(rows, fmt.Sprintf(`{"email":"u%d@example.com","custom_password_hash":%s}`, i, hash))
	}
	importFile(t, tenant, "["+strings.Join(rows, ",")+"]").want(t, http.StatusAccepted, "")
	if tenant.CountUsers() != len(rows) {
		t.Fatalf("%d of %d were imported", tenant.CountUsers(), len(rows))
	}
	for i := range rows {
		for _, try := range []string{"", "nonsense"} {
			if a := realm(tenant, fmt.Sprintf("u%d@example.com", i), try); a.status == http.StatusOK {
				t.Errorf("%s: %q logs in", rows[i], try)
			}
		}
	}
}
