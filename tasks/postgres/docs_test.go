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

// commandsOf returns the blocks of shell commands of a page.
func commandsOf(t *testing.T, page string, want int) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, match[1])
	}
	if len(blocks) != want {
		t.Fatalf("%s has %d blocks of commands, want %d", page, len(blocks), want)
	}
	return blocks
}

// TestBackupIsRestoredByHandAsThePageSays runs every command of docs/backup.md.
func TestBackupIsRestoredByHandAsThePageSays(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"age", "zstd"} {
		if _, err := command.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	blocks := commandsOf(t, "backup.md", 6)
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
		shell := []string{"bash", "-euo", "pipefail", "-c", block}
		if strings.Contains(block, "--list") { // which ends when it has read the list, with more behind it in the pipe
			shell = []string{"bash", "-eu", "-c", block}
		}
		out, err := command.Command{Argv: shell, Env: env, Dir: dir}.Output(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", block, err)
		}
		if strings.Contains(block, "--list") && !strings.Contains(out, "TABLE DATA public users") {
			t.Errorf("%s printed %q", block, out)
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

// TestSalvagedRowsAreBroughtBackByHandAsThePageSays runs every command of docs/rollback.md.
func TestSalvagedRowsAreBroughtBackByHandAsThePageSays(t *testing.T) {
	t.Parallel()
	blocks := commandsOf(t, "rollback.md", 3)
	r := rollBack(t, "create table users (id int primary key, email text); insert into users select i from generate_series(1, 9) i",
		"update users set email = 'x' where id < 4; delete from users where id = 9; insert into users values (10)")
	found := r.run(r.salvage())
	env, err := pg.Env(r.live)
	if err != nil {
		t.Fatal(err)
	}
	psql, err := pg.Tool("psql")
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "PATH="+filepath.Dir(psql)+":"+os.Getenv("PATH"), "FILE="+found.File, "SQL="+found.SQLFile, "REPLACED="+r.swap.Replaced)
	var said []string
	for _, block := range blocks {
		out, err := command.Command{Argv: []string{"bash", "-euo", "pipefail", "-c", block}, Env: env}.Output(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", block, err)
		}
		said = append(said, strings.Join(strings.Fields(out), " "))
	}
	if want := "1 public.users delete 1 public.users insert 3 public.users update"; said[0] != want || said[1]+said[2] != "" {
		t.Errorf("they printed %q, want %q", said, want)
	}
	if rows := value[string](t, r.live, "select string_agg(id || coalesce(email, ''), ' ' order by id) from users"); rows != "1x 2x 3x 4 5 6 7 8 10" {
		t.Errorf("the live database has %s", rows)
	}
	if n := value[int](t, r.live, "select count(*)::int from pg_database where datname = '"+r.swap.Replaced+"'"); n != 0 {
		t.Error("the replaced database is still there")
	}
}
