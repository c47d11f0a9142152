package postgres_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/medlogistics/phasegate/internal/sshtest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// A key is a public one with the file of its private one.
type key struct{ recipient, file string }

func ageKey(t testing.TB) key {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key{identity.Recipient().String(), written(t, "# a key\n"+identity.String()+"\n")}
}

func sshKey(t testing.TB) key {
	t.Helper()
	made := sshtest.New(t)
	return key{made.Public, written(t, string(made.File))}
}

// written puts a text into a file.
func written(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func verifyWith(t testing.TB, file, identity string) (postgres.Metadata, error) {
	t.Helper()
	identities, err := postgres.ReadIdentities(identity)
	if err != nil {
		t.Fatal(err)
	}
	return postgres.Verify(t.Context(), file, postgres.Proof{Identities: identities, Progress: func(int64, int64) {}})
}

func TestEncryptedBackupIsReadableByItsRecipientsOnly(t *testing.T) {
	t.Parallel()
	const planted = "the patient in bed four"
	dsn, dir := database(t, smaller+"; insert into users (email, role, note) values ('x', 'nurse', '"+planted+"')"), t.TempDir()
	listed, ours, stranger := ageKey(t), sshKey(t), ageKey(t)
	plain, err := backup(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	b := backup(dsn, dir)
	b.RunID, b.Recipients, b.RecipientsFile = "sealed", []string{ours.recipient}, task.Path(written(t, "# the archive's\n\n"+listed.recipient+"\n"))
	sealed, err := b.Run(t.Context(), tasktest.Env(t))
	if err != nil || !sealed.Proven {
		t.Fatalf("proven %v, %v", sealed.Proven, err)
	}
	if !strings.HasSuffix(sealed.File, ".dump.zst.age") {
		t.Errorf("it is named %s", sealed.File)
	}
	if !holds(t, plain.File, planted) {
		t.Error("the row is not in the plain backup: the test proves nothing")
	}
	if holds(t, sealed.File, planted) || holds(t, sealed.Metadata, planted) {
		t.Error("the row can be read in the encrypted backup")
	}
	for _, k := range []key{listed, ours} {
		if m, err := verifyWith(t, sealed.File, k.file); err != nil || !m.Proven || m.Encryption != "age" || m.Recipients != 2 {
			t.Errorf("with a recipient's key: proven %v, %v, %d recipients", m.Proven, err, m.Recipients)
		}
	}
	_, err = verifyWith(t, sealed.File, stranger.file)
	wantError(t, err, "encrypted for none of the identities", "another identity")
	_, err = verify(t, sealed.File)
	wantError(t, err, "there is no identity to read it with", "--identity")
	raw, err := os.ReadFile(sealed.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range positions(int64(len(raw))) {
		bad := bytes.Clone(raw)
		bad[at] ^= 4
		if err := os.WriteFile(sealed.File, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := verifyWith(t, sealed.File, listed.file); err == nil || m.Proven {
			t.Fatalf("a flipped bit at %d: proven %v, %v", at, m.Proven, err)
		}
	}
}

// holds tells whether text is in a file, as it is or compressed.
func holds(t testing.TB, file, text string) bool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(raw, []byte(text)) || bytes.Contains(decompressed(raw), []byte(text))
}

func TestRecipientsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	dsn, secret := database(t, ""), ageKey(t)
	private, err := os.ReadFile(secret.file)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Split(string(private), "\n")[1]
	for want, change := range map[string]func(*postgres.Backup){
		"recipient 1: it is a private key": func(b *postgres.Backup) { b.Recipients = []string{key} },
		"recipient 2: it is no public key": func(b *postgres.Backup) { b.Recipients = []string{secret.recipient, "somebody"} },
		"line 2: it is no public key":      func(b *postgres.Backup) { b.RecipientsFile = task.Path(written(t, "#\nage1x\n")) },
		"there is none in it":              func(b *postgres.Backup) { b.RecipientsFile = task.Path(written(t, "# nobody\n")) },
		"no such file":                     func(b *postgres.Backup) { b.RecipientsFile = "nowhere" },
	} {
		b := backup(dsn, t.TempDir())
		change(b)
		err := b.Check(t.Context(), tasktest.Env(t))
		wantError(t, err, want, "")
		if strings.Contains(err.Error()+task.HintOf(err), key) {
			t.Error("the error quotes the private key")
		}
	}
}
