package schema

import (
	"context"
	"flag"
	"io/fs"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/sqllint"
)

var update = flag.Bool("update", false, "write atlas.sum")

func TestAtlasSumFitsTheFiles(t *testing.T) {
	for _, path := range []string{".", "down"} {
		dir, err := migrate.NewLocalDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			sum, err := dir.Checksum()
			if err != nil {
				t.Fatal(err)
			}
			if err := migrate.WriteSumFile(dir, sum); err != nil {
				t.Fatal(err)
			}
		}
		if err := migrate.Validate(dir); err != nil {
			t.Errorf("%s: %v: run go test ./schema -update", path, err)
		}
	}
}

func TestTheMigrationsAreLinted(t *testing.T) {
	var linter sqllint.Linter
	files, err := embedded(t).Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, found := range linter.File(file.Name(), string(file.Bytes())) {
			if file.Version() > Baseline {
				t.Error(found)
			}
		}
	}
}

func TestTheEmbeddedMigrationsAreWhole(t *testing.T) {
	if err := migrate.Validate(embedded(t)); err != nil && !*update {
		t.Error(err)
	}
}

// embedded returns FS as a directory of Atlas.
func embedded(t *testing.T) *migrate.MemDir {
	t.Helper()
	dir := &migrate.MemDir{}
	err := fs.WalkDir(FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path == "down" {
				return fs.SkipDir
			}
			return nil
		}
		data, err := fs.ReadFile(FS, path)
		if err != nil {
			return err
		}
		return dir.WriteFile(path, data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// migrated returns a connection to a database after the cut-over: its files were
// applied, each in one transaction, with one user from before.
func migrated(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := connect(t, postgrestest.Database(t))
	files, err := embedded(t).Files()
	if err != nil || len(files) != 3 || files[0].Version() != Baseline || files[0].Name() != BaselineFile {
		t.Fatalf("the files are %v, %v", files, err)
	}
	for i, file := range files[:2] {
		if i == 1 {
			exec(t, conn, `insert into users (email, hashed_password, api_key, role) values ('a@b.org', 'h', 'k', 'nurse')`)
		}
		exec(t, conn, "begin")
		statements, err := file.Stmts()
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements {
			exec(t, conn, statement)
		}
		exec(t, conn, "commit")
	}
	return conn
}

func connect(t *testing.T, dsn redact.Secret) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
}

func TestTheCutOverKeepsOldUsersAndLetsNewOnesHaveNoKey(t *testing.T) {
	conn := migrated(t)
	for sql, refusal := range map[string]string{
		`update users set auth0_user_id = 'auth0|1' where api_key = 'k'`:                                                         "",
		`insert into users (email, role, auth0_user_id) values ('c@d.org', 'nurse', 'auth0|1'), ('C@d.org', 'nurse', 'auth0|1')`: "users_auth0_user_id_key",
		`insert into users (email, role) values ('e@f.org', 'super_admin'), ('g@h.org', 'doctor')`:                               "",
		`insert into users (email, role) values ('a@b.org', 'doctor')`:                                                           "users_email_key",
		`insert into hospitals (name) values ('General'), ('General')`:                                                           "hospitals_name_key",
		`insert into wards (name, hospital_id) values ('A1', gen_random_uuid())`:                                                 "wards_hospital_id_fkey",
		`insert into user_ward_permissions (user_id, ward_id, role) select id, id, role from users`:                              "user_ward_permissions",
		`with h as (insert into hospitals (name) values ('West') returning id)
			insert into wards (name, hospital_id) select w, id from h, unnest(array['A1', 'A2']) w`: "",
	} {
		_, err := conn.Exec(t.Context(), "begin; "+sql)
		switch {
		case refusal == "" && err != nil:
			t.Errorf("%v in %s", err, sql)
		case refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)):
			t.Errorf("%s: refused with %v, not because of %s", sql, err, refusal)
		}
		exec(t, conn, "rollback")
	}
}

func TestTheEndOfKeysTakesTheKeysAloneAndWritesNoRowAnew(t *testing.T) {
	conn := migrated(t)
	look := func() (columns, node string) {
		err := conn.QueryRow(t.Context(), `
			select (select string_agg(column_name, ' ' order by ordinal_position) from information_schema.columns where table_name = 'users'),
			       pg_relation_filenode('users')::text`).Scan(&columns, &node)
		if err != nil {
			t.Fatal(err)
		}
		return columns, node
	}
	before, file := look()
	removal, err := FS.ReadFile("20270201000000_drop_api_keys.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, string(removal))
	after, now := look()
	if after != strings.Replace(before, " api_key", "", 1) || file != now {
		t.Errorf("the columns were %q and are %q; the table was file %s and is %s", before, after, file, now)
	}
}
