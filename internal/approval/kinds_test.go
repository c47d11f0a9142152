package approval_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/internal/approval"
)

// A securityKey signs as one does whose owner touched it (OpenSSH, PROTOCOL.u2f),
// with a private key that is kept here.
type securityKey struct {
	private ed25519.PrivateKey
	public  ssh.PublicKey
}

const securityKeyKind = "sk-ssh-ed25519@openssh.com"

func newSecurityKey(t *testing.T) *securityKey {
	t.Helper()
	raw, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Kind        string
		Key         []byte
		Application string
	}{securityKeyKind, raw, "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return &securityKey{private, public}
}

func (k *securityKey) PublicKey() ssh.PublicKey { return k.public }

func (k *securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	touched := []byte{1, 0, 0, 0, 7} // flags and counter
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	signed := append(append(application[:], touched...), message[:]...)
	return &ssh.Signature{Format: securityKeyKind, Blob: ed25519.Sign(k.private, signed), Rest: touched}, nil
}

// Whatever key of OpenSSH's a person has, it signs, is read back, and OpenSSH
// verifies it; no signature is made with SHA-1.
func TestEveryKindOfKeySigns(t *testing.T) {
	t.Parallel()
	made := func(private crypto.Signer, err error) ssh.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewSignerFromSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	p256, failed := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p521, failed2 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	old, failed3 := rsa.GenerateKey(rand.Reader, 2048)
	for kind, key := range map[string]ssh.Signer{
		"ssh-ed25519":         made(edwards, err),
		"ecdsa-sha2-nistp256": made(p256, failed),
		"ecdsa-sha2-nistp521": made(p521, failed2),
		"rsa-sha2-512":        made(old, failed3),
		securityKeyKind:       newSecurityKey(t),
	} {
		file := listed(t, `alice namespaces="phasegate" `+authorized(key))
		said, err := approval.Sign(approve("alice"), key)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if signature, err := sshsig.Unarmor([]byte(said.Signature)); err != nil || signature.Signature.Format != kind {
			t.Errorf("%s: signed as %+v, %v", kind, signature, err)
		}
		if d, _, err := approval.Read(said, read(t, file)); err != nil || d.By != "alice" {
			t.Errorf("%s: read %+v, %v", kind, d, err)
		}
		armored := filepath.Join(t.TempDir(), "statement.sig")
		if err := os.WriteFile(armored, []byte(said.Signature), 0o600); err != nil {
			t.Fatal(err)
		}
		verify := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", file, "-I", "alice", "-n", approval.Namespace, "-s", armored)
		verify.Stdin = strings.NewReader(said.Text)
		if output, err := verify.CombinedOutput(); err != nil {
			t.Errorf("%s: ssh-keygen: %v: %s", kind, err, output)
		}
		said.Text = strings.Replace(said.Text, `"approved":true`, `"approved":false`, 1)
		if _, _, err := approval.Read(said, read(t, file)); err == nil {
			t.Errorf("%s: a statement that was touched counts", kind)
		}
	}
}
