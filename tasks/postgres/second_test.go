package postgres_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// storage is a server that speaks S3's protocol, with one bucket. It spoils what
// is read from it if it is told to.
func storage(t testing.TB, spoil *bool) (endpoint string, backend *s3mem.Backend) {
	t.Helper()
	backend = s3mem.New()
	if err := backend.CreateBucket("backups"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithoutVersioning()).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoil != nil && *spoil && r.Method == http.MethodGet {
			w = &spoiled{ResponseWriter: w}
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, backend
}

// spoiled turns the first byte of what is sent over.
type spoiled struct {
	http.ResponseWriter
	begun bool
}

func (s *spoiled) Write(p []byte) (int, error) {
	if !s.begun && len(p) > 0 {
		s.begun = true
		p = bytes.Clone(p)
		p[0] ^= 1
	}
	return s.ResponseWriter.Write(p)
}

func toBucket(dsn redact.Secret, dir, endpoint string) *postgres.Backup {
	b := backup(dsn, dir)
	b.CopyTo, b.CopyEndpoint, b.CopyRegion = "s3://backups/wards", endpoint, "us-east-1"
	b.CopyAccessKey, b.CopySecretKey = redact.NewSecret("the-access-key"), redact.NewSecret("the-secret-key")
	return b
}

// pictures is a table of 9 MB that cannot be compressed, 18 MB as text: its backup is sent in two parts.
var pictures = smaller + `;
create table pictures as
select n, (select string_agg(uuid_send(gen_random_uuid()), '') from generate_series(n, n + 63)) as picture
  from generate_series(1, 9000) n;`

func TestBackupIsCopiedToABucketAndReadBack(t *testing.T) {
	t.Parallel()
	endpoint, backend := storage(t, nil)
	dsn, dir, env := database(t, pictures), t.TempDir(), tasktest.Env(t)
	receipt, err := toBucket(dsn, dir, endpoint).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Bytes < 17<<20 {
		t.Errorf("the backup has %d bytes, which is one part", receipt.Bytes)
	}
	if want := "s3://backups/wards/" + filepath.Base(receipt.File); receipt.Copy != want {
		t.Errorf("the copy is %s, want %s", receipt.Copy, want)
	}
	for _, file := range []string{receipt.File, receipt.Metadata} {
		object, err := backend.GetObject("backups", "wards/"+filepath.Base(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		there, err := io.ReadAll(object.Contents)
		here, readErr := os.ReadFile(file)
		if err := errors.Join(err, readErr); err != nil || !bytes.Equal(there, here) {
			t.Errorf("the copy of %s differs, or %v", file, err)
		}
	}
	if raw := string(env.Saved); strings.Contains(raw, "the-secret-key") || strings.Contains(raw, "the-access-key") {
		t.Error("the receipt holds a key")
	}
}

func TestBackupWhoseCopyFailsIsKeptAndCopiedByTheNextCall(t *testing.T) {
	t.Parallel()
	spoil := true
	endpoint, backend := storage(t, &spoil)
	dsn, dir, env := database(t, smaller), t.TempDir(), tasktest.Env(t)
	first, err := toBucket(dsn, dir, endpoint).Run(t.Context(), env)
	wantError(t, err, "is proven, but not copied: read s3://backups/wards/", "only the copy is made then")
	spoil = false
	for _, object := range []string{filepath.Base(first.File), filepath.Base(first.Metadata)} {
		_, _ = backend.DeleteObject("backups", "wards/"+object)
	}
	second, err := toBucket(dsn, dir, endpoint).Run(t.Context(), env)
	if err != nil || second.File != first.File || second.Copy == "" {
		t.Errorf("the next call: %+v, %v", second, err)
	}
	third, err := toBucket(dsn, dir, endpoint).Run(t.Context(), env)
	var skip *task.SkipError
	if !errors.As(err, &skip) || third != second {
		t.Errorf("the call after it: %+v, %v", third, err)
	}
	if got := files(t, dir); len(got) != 2 {
		t.Errorf("in the directory: %q", got)
	}
}

func TestBackupIsCopiedToADirectory(t *testing.T) {
	t.Parallel()
	dsn, second := database(t, smaller), filepath.Join(t.TempDir(), "second")
	b := backup(dsn, t.TempDir())
	b.CopyTo = second
	receipt, err := b.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := verify(t, receipt.Copy); err != nil || !m.Proven || filepath.Dir(receipt.Copy) != second {
		t.Errorf("the copy %s: proven %v, %v", receipt.Copy, m.Proven, err)
	}
	if info, err := os.Stat(receipt.Copy); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
}

// Two servers may have databases of one name, and one second place. What a kill has
// cut off there is no backup.
func TestACopyNeverTakesAnotherBackupsPlace(t *testing.T) {
	t.Parallel()
	dsn := database(t, smaller)
	for name, c := range map[string]struct {
		partial string
		there   func(own string) string // the metadata in the second place
		refused bool
	}{
		"of another server":       {"", func(own string) string { return sealAgain(strings.Replace(own, `"server": "`, `"server": "1`, 1)) }, true},
		"cut off":                 {"", func(own string) string { return own[:100] }, false},
		"cut off before its name": {".partial", func(own string) string { return own[:100] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second, env, b := t.TempDir(), tasktest.Env(t), backup(dsn, t.TempDir())
			made, err := b.Run(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			own, err := os.ReadFile(made.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			there := filepath.Join(second, filepath.Base(made.File))
			for file, text := range map[string]string{there: "an archive", there + ".json" + c.partial: c.there(string(own))} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// Of another backup, whose run never goes on.
			others := filepath.Join(second, "others-20261130T000000Z.dump.zst")
			for file, text := range map[string][]byte{others: nil, others + ".json.partial": own[:100]} {
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b.CopyTo = second
			receipt, err := b.Run(t.Context(), env)
			if _, err := os.Stat(others + ".json"); err == nil {
				t.Error("metadata that was cut off has its final name")
			}
			if c.refused {
				wantError(t, err, there+".json belongs to another backup", "a place of its own")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m, err := verify(t, receipt.Copy); err != nil || !m.Proven {
				t.Errorf("the copy: proven %v, %v", m.Proven, err)
			}
		})
	}
}

func TestASecondPlaceThatCannotBeOneIsRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*postgres.Backup){
		"names no bucket":             func(b *postgres.Backup) { b.CopyTo = "s3:///x" },
		"without copy_access_key":     func(b *postgres.Backup) { b.CopySecretKey = redact.Secret{} },
		"is no address":               func(b *postgres.Backup) { b.CopyEndpoint = "storage.example.org" },
		"is not encrypted, and neith": func(b *postgres.Backup) { b.CopyEndpoint = "http://storage.example.org" },
		"of use only where":           func(b *postgres.Backup) { b.CopyTo = "/somewhere" },
	} {
		b := toBucket(redact.Secret{}, "backups", "http://127.0.0.1:1")
		change(b)
		wantError(t, b.Validate(), want, "")
	}
	b := toBucket(redact.Secret{}, "backups", "http://storage.example.org")
	b.Recipients = []string{"age1"}
	if err := b.Validate(); err != nil {
		t.Errorf("an encrypted backup over http: %v", err)
	}
	b = backup(database(t, ""), t.TempDir())
	b.CopyTo = b.Directory + "/../" + filepath.Base(b.Directory)
	err := b.Check(t.Context(), tasktest.Env(t))
	wantError(t, err, "is the directory of the backups itself", "on another disk")
	endpoint, _ := storage(t, nil)
	b = toBucket(database(t, ""), t.TempDir(), endpoint)
	b.CopyTo = "s3://nowhere"
	_, err = b.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "The specified bucket does not exist", "make the bucket first")
}
