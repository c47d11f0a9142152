package postgres_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// TestBackupIsRestoredByHandAsThePageSays runs every command of docs/backup.md.
func TestBackupIsRestoredByHandAsThePageSays(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"age", "zstd"} {
		if _, err := command.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 6 {
		t.Fatalf("%d blocks of commands, want 6", len(blocks))
	}
	dsn, key := database(t, smaller), ageKey(t)
	plain, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	b := backup(dsn, t.TempDir())
	b.Recipients = []string{key.recipient}
	sealed, err := b.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	server, dir := throwaway(t), t.TempDir()
	env, err := pg.Env(server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	dump, err := pg.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "PATH="+filepath.Dir(dump)+":"+os.Getenv("PATH"), "FILE="+plain.File, "SEALED="+sealed.File, "KEY="+key.file)
	for _, block := range blocks {
		shell := []string{"bash", "-euo", "pipefail", "-c", block[1]}
		if strings.Contains(block[1], "--list") { // which ends when it has read the list, with more behind it in the pipe
			shell = []string{"bash", "-eu", "-c", block[1]}
		}
		out, err := command.Command{Argv: shell, Env: env, Dir: dir}.Output(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", block[1], err)
		}
		if strings.Contains(block[1], "--list") && !strings.Contains(out, "TABLE DATA public users") {
			t.Errorf("%s printed %q", block[1], out)
		}
	}
	for _, restored := range []string{name(t, dsn), "restored", "decrypted"} {
		if d := pg.Differences(contents(t, dsn), contents(t, server.DSN(restored))); len(d) > 0 {
			t.Errorf("database %s: %q", restored, d)
		}
	}
	if sql, err := os.ReadFile(filepath.Join(dir, "users.sql")); err != nil || !strings.Contains(string(sql), "user7@example.org") {
		t.Errorf("users.sql: %v", err)
	}
	if left, _ := filepath.Glob(plain.File + ".clear"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
