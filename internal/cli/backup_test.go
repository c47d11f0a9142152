package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/sethvargo/go-envconfig"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// backedUp makes a backup of a small database as a plan's step would.
func backedUp(t *testing.T, recipients ...string) postgres.BackupReceipt {
	t.Helper()
	spec, ok := tasks.All().Lookup("postgres/backup")
	if !ok {
		t.Fatal("there is no task postgres/backup")
	}
	config := spec.New().Config().(*postgres.Backup)
	config.DSN, config.Directory, config.Reserve, config.Recipients = postgrestest.Database(t), t.TempDir(), 0, recipients
	receipt, err := config.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// called runs phasegate and returns its exit code and what it wrote.
func called(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = newApp(Surroundings{Out: &stdout, Err: &stderr, Lookup: envconfig.MapLookuper(nil)}).main(args)
	return code, stdout.String(), stderr.String()
}

func TestBackupVerifyTellsProvenFromDamaged(t *testing.T) {
	receipt := backedUp(t)
	code, out, _ := called("backup", "verify", receipt.File)
	if code != ExitDone || !strings.Contains(out, receipt.SHA256) || !strings.Contains(out, "proven: the file holds") {
		t.Errorf("exit code %d: %s", code, out)
	}
	code, out, errText := called("backup", "verify", receipt.File, "--restore", "--json")
	var found verification
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err, out, errText)
	}
	if code != ExitDone || !found.Proven || !found.Restored || found.Objects["database"] != 1 || found.SHA256 != receipt.SHA256 {
		t.Errorf("exit code %d: %+v %s", code, found, errText)
	}
	raw, err := os.ReadFile(receipt.File)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(receipt.File, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--restore"}} {
		code, out, errText = called(append([]string{"backup", "verify", receipt.File}, args...)...)
		if code != ExitFailed || out != "" || !strings.Contains(errText, "is not proven: prove the backup: the backup is damaged") || !strings.Contains(errText, "hint: ") {
			t.Errorf("exit code %d: %s %s", code, out, errText)
		}
	}
	code, out, _ = called("backup", "verify", receipt.File, "--json")
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != ExitFailed || found.Problem == "" || found.Hint == "" {
		t.Errorf("exit code %d: %v %s", code, err, out)
	}
	for _, args := range [][]string{{receipt.File + "x"}, {}, {receipt.File, "--identity", "nowhere"}} {
		if code, out, errText := called(append([]string{"backup", "verify"}, args...)...); code != ExitUsage || out != "" {
			t.Errorf("%q: exit code %d: %s %s", args, code, out, errText)
		}
	}
}

func TestBackupVerifyReadsAnEncryptedOneWithItsIdentityOnly(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	receipt := backedUp(t, identity.Recipient().String())
	dir := t.TempDir()
	for file, key := range map[string]string{"key": identity.String(), "other": other.String(), "none": "nothing"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]struct {
		code int
		says string
	}{
		"key":   {ExitDone, ", encrypted, SHA-256"},
		"other": {ExitFailed, "encrypted for none of the identities"},
		"none":  {ExitUsage, "there is no private key in it"},
		"":      {ExitUsage, "with --identity"},
	} {
		args := []string{"backup", "verify", receipt.File}
		if key != "" {
			args = append(args, "--identity", filepath.Join(dir, key))
		}
		code, out, errText := called(args...)
		if code != want.code || !strings.Contains(out+errText, want.says) {
			t.Errorf("with %q: exit code %d: %s%s", key, code, out, errText)
		}
		if strings.Contains(out+errText, identity.String()) {
			t.Error("the private key is shown")
		}
	}
	code, out, errText := called("backup", "verify", receipt.File, "--restore", "--identity", filepath.Join(dir, "key"))
	if code != ExitDone || !strings.Contains(out, "proven: restored") {
		t.Errorf("exit code %d: %s%s", code, out, errText)
	}
}
