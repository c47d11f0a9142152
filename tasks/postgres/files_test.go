package postgres_test

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// files lists what is in a directory of backups, but for its lock.
func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != ".phasegate-backup.lock" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// flip turns one bit of a file over.
func flip(t testing.TB, file string, at int64) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 0x10
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t testing.TB, file string, size int64) {
	t.Helper()
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeOlder makes a backup older than it is.
func makeOlder(t testing.TB, metadata string, by time.Duration) {
	t.Helper()
	m, err := postgres.ReadMetadata(strings.TrimSuffix(metadata, ".json"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	writeSealed(t, metadata, strings.Replace(string(raw), m.TakenAt.Format(time.RFC3339Nano), m.TakenAt.Add(-by).Format(time.RFC3339Nano), 1))
}

// sealAgain gives edited metadata a seal of its own, as somebody would who wants it
// to be believed.
func sealAgain(text string) string {
	at := strings.LastIndex(text, `"seal": "`) + len(`"seal": "`)
	zeros := text[:at] + strings.Repeat("0", 64) + text[at+64:]
	return fmt.Sprintf("%s%x%s", text[:at], sha256.Sum256([]byte(zeros)), text[at+64:])
}

func writeSealed(t testing.TB, metadata, text string) {
	t.Helper()
	if err := os.WriteFile(metadata, []byte(sealAgain(text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, file string) (postgres.Metadata, error) {
	t.Helper()
	return postgres.Verify(t.Context(), file, postgres.Proof{Progress: func(int64, int64) {}})
}

// password is the one in a connection string.
func password(t testing.TB, dsn redact.Secret) string {
	t.Helper()
	u, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	secret, ok := u.User.Password()
	if !ok {
		t.Fatal("the connection string has no password")
	}
	return secret
}

// An account is a role of a test's own.
type account struct {
	role string
	dsn  redact.Secret
}

var accounts atomic.Int64

// role makes a role that can log in, and drops it with all it owns in the
// database when the test ends.
func role(t testing.TB, dsn redact.Secret, options string) account {
	t.Helper()
	a := account{role: fmt.Sprintf("role_%d", accounts.Add(1))}
	execute(t, dsn, fmt.Sprintf("create role %s login password 'the-roles-password' %s", a.role, options))
	t.Cleanup(func() {
		execute(t, dsn, fmt.Sprintf("reassign owned by %[1]s to postgres; drop owned by %[1]s; drop role %[1]s", a.role))
	})
	u, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(a.role, "the-roles-password")
	a.dsn = redact.NewSecret(u.String())
	return a
}

// decompressed is what a file held before zstd, nothing if it is not zstd's.
func decompressed(raw []byte) []byte {
	from, err := zstd.NewReader(nil)
	if err != nil {
		panic(err)
	}
	defer from.Close()
	whole, _ := from.DecodeAll(raw, nil)
	return whole
}
