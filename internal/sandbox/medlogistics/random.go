package medlogistics

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
)

// kind separates the random numbers of one table's rows from another's.
type kind uint64

const (
	ofUser kind = iota + 1
	ofDrug
	ofTransfer
	ofOrder
	ofAdministration
)

// random returns the source of random numbers of row i. It is the same in every
// run, and each row can be made without those before it.
func random(k kind, i int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(k), uint64(i)))
}

// id returns the id of row i, in the form of a UUID of version 4.
func id(k kind, i int) string {
	b := randomBytes(random(k, i), 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// pick returns one of list.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// apiKey returns a key as Python's secrets.token_urlsafe(32) makes it.
func apiKey(r *rand.Rand) string {
	return base64.RawURLEncoding.EncodeToString(randomBytes(r, 32))
}

// passwordHash returns what looks like bcrypt's, at cost 10: a salt of 16 bytes
// and a hash of 23, in bcrypt's own alphabet. No password fits it.
func passwordHash(r *rand.Rand) string {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bcrypt := base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
	return "$2b$10$" + bcrypt.EncodeToString(randomBytes(r, 16)) + bcrypt.EncodeToString(randomBytes(r, 23))
}
