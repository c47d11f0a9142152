package relay_test

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/pg/archive"
	"github.com/medlogistics/phasegate/internal/pg/relay"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

// odd has tables whose COPY is not like the others', and rows larger than what is
// carried at a time.
const odd = `
	create table plain (id int generated always as identity, "odd, (name)" text, made int generated always as (1) stored);
	insert into plain ("odd, (name)") select E'a tab\t, a line\n, a backslash \\. ' || i from generate_series(1, 20000) i;
	insert into plain ("odd, (name)") values (null), ('');
	create table empty (id int); create table bare (); insert into bare default values;
	create table wide (data bytea); insert into wide select decode(repeat(md5(i::text), 50000), 'hex') from generate_series(1, 3) i;
	create table parted (id int) partition by range (id); create table part partition of parted for values from (0) to (9);
	insert into parted values (1); create schema "Other"; create table "Other"."select" ("from" int); insert into "Other"."select" values (7);
	select lo_from_bytea(0, 'large')`

func database(t *testing.T, sql string) redact.Secret {
	t.Helper()
	dsn := postgrestest.Database(t)
	conn, err := pg.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(conn)
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func open(t *testing.T, dsn redact.Secret) *relay.Relay {
	t.Helper()
	r, err := relay.Open(t.Context(), dsn, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// both dumps through r, and returns what is in the archive and what was heard.
func both(t *testing.T, r *relay.Relay) (dumped archive.Contents, heard []pg.Table) {
	t.Helper()
	dumped, err := dump(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if heard, err = r.Close(); err != nil {
		t.Fatal(err)
	}
	return dumped, heard
}

func TestRowsAreOnlyCountedIfTheirContentIsNotAskedFor(t *testing.T) {
	t.Parallel()
	dsn := database(t, odd)
	r, err := relay.Open(t.Context(), dsn, false)
	if err != nil {
		t.Fatal(err)
	}
	dumped, heard := both(t, r)
	for i := range dumped.Tables {
		dumped.Tables[i].Hash = ""
	}
	if d := pg.Differences(dumped.Tables, heard); len(d) > 0 || len(heard) == 0 {
		t.Errorf("of %d tables: %q", len(heard), d)
	}
	for _, table := range heard {
		if table.Hash != "" {
			t.Errorf("the content of %s was summed up", table)
		}
	}
}

// program is one of PostgreSQL's, which reaches the server through r.
func program(t *testing.T, r *relay.Relay, argv ...string) command.Command {
	t.Helper()
	path, err := pg.Tool(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	return command.Command{Argv: append([]string{path}, argv[1:]...), Env: r.Env()}
}

// home is the directory of the socket.
func home(r *relay.Relay) string { return strings.TrimPrefix(r.Env()[0], "PGHOST=") }

func dump(t *testing.T, r *relay.Relay) (archive.Contents, error) {
	t.Helper()
	var file bytes.Buffer
	c := program(t, r, "pg_dump", "-Fc", "-Z0", "-w")
	c.Stdout = &file
	if err := c.Run(t.Context()); err != nil {
		return archive.Contents{}, err
	}
	contents, err := archive.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return contents, nil
}

func TestEveryTableIsHeardAsTheServerHasIt(t *testing.T) {
	t.Parallel()
	dsn := database(t, odd)
	r := open(t, dsn)
	if info, err := os.Stat(home(r)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket lies in a directory of mode %v, %v", info.Mode(), err)
	}
	dumped, heard := both(t, r)
	conn, err := pg.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(conn)
	there, err := pg.Contents(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][]pg.Table{"heard": heard, "dumped": dumped.Tables} {
		if d := pg.Differences(there, got); len(d) > 0 {
			t.Errorf("what was %s: %q", what, d)
		}
	}
	if config, err := pg.Parse(dsn); err != nil || dumped.Database != config.Database || dumped.Large.Count != 1 {
		t.Errorf("dumped %+v, %v", dumped, err)
	}
}

// What is no table as a whole is not taken for one.
func TestOnlyWholeTablesAreHeard(t *testing.T) {
	t.Parallel()
	r := open(t, database(t, "create table t (id int); insert into t select generate_series(1, 3); create table u (id int)"))
	out, err := program(t, r, "psql", "-Xq",
		"-c", "COPY (SELECT id FROM public.t) TO stdout;",
		"-c", "COPY public.t (id) TO stdout WHERE broken;",
		"-c", "COPY public.t (id) TO stdout;",
		"-c", "COPY public.nowhere (id) TO stdout;",
		"-c", "COPY public.u (id) TO stdout;").Output(t.Context())
	if err != nil || out != "1\n2\n3\n1\n2\n3\n" {
		t.Errorf("psql says %q, %v", out, err)
	}
	heard, err := r.Close()
	if err != nil || len(heard) != 2 || heard[0].Name != "t" || heard[0].Rows != 3 || heard[1].Name != "u" || heard[1].Rows != 0 {
		t.Errorf("heard %+v, %v", heard, err)
	}
}

func TestTheProgramGetsNoPasswordAndReachesNoOtherServer(t *testing.T) {
	dsn := database(t, "create table t (id int)")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "services"), []byte("[elsewhere]\nhost=/nowhere\ndbname=other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", filepath.Join(dir, "services"))
	for name, value := range map[string]string{
		"PGSERVICE": "elsewhere", "PGHOSTADDR": "192.0.2.1", "PGREQUIREAUTH": "scram-sha-256", "PGCHANNELBINDING": "require",
		"PGSSLMODE": "require", "PGGSSENCMODE": "require", "PGTARGETSESSIONATTRS": "standby", "PGOPTIONS": "-c broken",
	} {
		t.Setenv(name, value)
	}
	address, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	for name, value := range map[string]string{
		"sslmode": "disable", "target_session_attrs": "any", "channel_binding": "prefer", "require_auth": "", "options": "-cgeqo=on",
	} {
		query.Set(name, value)
	}
	address.RawQuery = query.Encode()
	r := open(t, redact.NewSecret(address.String()))
	if password, ok := address.User.Password(); !ok || strings.Contains(strings.Join(r.Env(), "\n"), password) {
		t.Error("the password is in the program's environment")
	}
	if contents, err := dump(t, r); err != nil || len(contents.Tables) != 1 {
		t.Errorf("dumped %+v, %v", contents, err)
	}
	if _, err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestOneSessionComesAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (id int)")
	r := open(t, dsn)
	if out, err := program(t, r, "psql", "-XAtc", "select current_setting('TimeZone'), current_setting('bytea_output'), current_setting('application_name')").Output(t.Context()); err != nil || out != "UTC|hex|phasegate\n" {
		t.Errorf("psql says %q, %v", out, err)
	}
	if err := program(t, r, "psql", "-Xc", "select").Run(t.Context()); err == nil {
		t.Error("a second session came")
	}
	if _, err := os.Stat(home(r)); !os.IsNotExist(err) {
		t.Errorf("the socket's directory is left: %v", err)
	}
	if heard, err := r.Close(); err != nil || len(heard) > 0 {
		t.Errorf("heard %v, %v", heard, err)
	}
	idle := open(t, dsn)
	if heard, err := idle.Close(); err != nil || len(heard) > 0 {
		t.Errorf("nobody came, heard %v, %v", heard, err)
	}
	if _, err := os.Stat(home(idle)); !os.IsNotExist(err) {
		t.Errorf("the socket's directory is left: %v", err)
	}
}

func TestWhyThereIsNoSessionIsToldWithAHint(t *testing.T) {
	t.Parallel()
	r := open(t, redact.NewSecret("postgres://app:canary-11@127.0.0.1:1/app"))
	if _, err := dump(t, r); err == nil {
		t.Error("dumped")
	}
	_, err := r.Close()
	if err == nil || !strings.Contains(err.Error(), "connect to database app at 127.0.0.1:1") || strings.Contains(err.Error(), "canary") || task.HintOf(err) == "" {
		t.Errorf("error %v, hint %q", err, task.HintOf(err))
	}
}

func TestADirectoryWithALongNameIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	_, err := relay.Open(t.Context(), redact.NewSecret("postgres://app@db.example/app"), true)
	if err == nil || !strings.Contains(task.HintOf(err), "TMPDIR") {
		t.Errorf("error %v, hint %q", err, task.HintOf(err))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "nowhere"))
	if _, err := relay.Open(t.Context(), redact.NewSecret("postgres://app@db.example/app"), true); err == nil {
		t.Error("opened in a directory that is not there")
	}
	if _, err := relay.Open(t.Context(), redact.NewSecret("%zz"), true); err == nil {
		t.Error("opened to no server")
	}
}

// Neither a program that is killed nor a context that ends leaves a session at the
// server, and a server that ends the session is not waited for.
func TestASessionEndsWithEitherSide(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t as select md5(i::text) as v from generate_series(1, 200000) i")
	conn, err := pg.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(conn)
	sessions := func(which string) (n int) {
		const others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like $1"
		if err := conn.QueryRow(t.Context(), others, which).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	wait := func(which string, want int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); sessions(which) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("there are %d sessions at %s, not %d", sessions(which), which, want)
			}
		}
	}
	for what, end := range map[string]func(stopProgram, stopRelay context.CancelFunc){
		"the program is killed": func(stopProgram, _ context.CancelFunc) { stopProgram() },
		"the context ends":      func(_, stopRelay context.CancelFunc) { stopRelay() },
		"the server ends it": func(context.CancelFunc, context.CancelFunc) {
			if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			relaying, stopRelay := context.WithCancel(t.Context())
			defer stopRelay()
			running, stopProgram := context.WithCancel(t.Context())
			defer stopProgram()
			r, err := relay.Open(relaying, dsn, true)
			if err != nil {
				t.Fatal(err)
			}
			// It waits for somebody who reads what it writes.
			from, to, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			defer to.Close()
			ended := make(chan error, 1)
			c := program(t, r, "pg_dump", "-Fc", "-Z0", "-w")
			c.Stdout = to
			go func() { ended <- c.Run(running) }()
			wait("COPY%", 1)
			end(stopProgram, stopRelay)
			wait("%", 0)
			_ = from.Close()
			if err := <-ended; err == nil {
				t.Error("the dump is whole")
			}
			if heard, err := r.Close(); err != nil || len(heard) > 0 {
				t.Errorf("heard %v, %v", heard, err)
			}
		})
	}
}
