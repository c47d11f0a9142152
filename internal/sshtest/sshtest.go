// Package sshtest makes SSH keys for tests.
package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A Key is a person's new Ed25519 key.
type Key struct {
	ssh.Signer

	File   []byte // the private key as OpenSSH keeps it, without a passphrase
	Public string // as a line of authorized_keys, without its end
}

// New returns a key that nobody had before.
func New(t testing.TB) Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	line := ssh.MarshalAuthorizedKey(signer.PublicKey())
	return Key{Signer: signer, File: pem.EncodeToMemory(block), Public: string(line[:len(line)-1])}
}
