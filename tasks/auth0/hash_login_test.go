package auth0

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/medlogistics/phasegate/internal/tasktest"
)

// Users keep their passwords in whatever documented form their hashes are in.
func TestEveryKindOfHashMovesAndItsUserLogsIn(t *testing.T) {
	t.Parallel()
	native, err := bcrypt.GenerateFromPassword([]byte("what Anna always typed"), 10)
	must(t, err)
	cheap, err := bcrypt.GenerateFromPassword([]byte("what Anna always typed"), bcrypt.MinCost)
	must(t, err)
	hashes := []string{
		string(native),
		strings.Replace(string(native), "$2a$", "$2y$", 1), // as PHP writes it
		string(cheap),
		"$argon2id$v=19$m=64,t=1,p=2$cGVwcGVyLWFuZC1zYWx0$I+yTVNGwG3Xjv2xk5GMqRJIuf4EivXL5PEcJekIDx/o",
		"$pbkdf2-sha512$i=1000,l=32$cGVwcGVyLWFuZC1zYWx0$HIFOm1lLV9EAj/ZqpBJ/14m2rWDahI/oIT0zP2XWa0A",
		"{SSHA}KMBLmHYcHg8EOrmmbAIcrmmjU11wZXBwZXItYW5kLXNhbHQ=",
		`{"algorithm":"sha256","hash":{"value":"c28ec786f0587fb10b5d68fb4a439dfbe19d8a4b34fd1d3d54be270d45257a3a","encoding":"hex"},
		  "salt":{"value":"pepper-and-salt","encoding":"utf8","position":"prefix"}}`,
		`{"algorithm":"scrypt","hash":{"value":"93057dec7296ced8d69775d1a1afc89251b0e0e62af0e690a5d65a62dfe978ce","encoding":"hex"},
		  "salt":{"value":"pepper-and-salt","encoding":"utf8"},"keylen":32,"cost":1024,"blockSize":8,"parallelization":1}`,
	}
	s := newScene(t, users(len(hashes)))
	for n, hash := range hashes {
		s.exec("update users set hashed_password = $1 where id = $2", hash, s.nth(n))
	}
	r, err := s.bulk().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Hashes != int64(len(hashes)) || r.MustReset != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	for n, hash := range hashes {
		if email := s.email(s.nth(n)); !s.canLogIn(email, "what Anna always typed") || s.canLogIn(email, "what Anna never typed") {
			t.Errorf("%.20s: the password did not move", hash)
		}
	}
}
