package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/schema"
)

// beyond is a migration that changes the server and the database that it names. The
// role is named after the database: others use the same server.
func beyond(t *testing.T, dsn redact.Secret) (sql, role string) {
	name := query[string](t, dsn, "select current_database()")
	database, role := pgx.Identifier{name}.Sanitize(), "reporting_"+name
	return fmt.Sprintf("create table n (id int);\nalter database %s set work_mem = '9MB';\ncreate role %s;\ngrant connect on database %[1]s to %s;\n",
		database, role, role), role
}

// untouched holds that neither the server nor the database has what beyond makes.
func untouched(t *testing.T, dsn redact.Secret, role string) {
	t.Helper()
	if query[bool](t, dsn, "select to_regrole($1) is not null", role) {
		t.Errorf("role %s is on the server", role)
	}
	if query[bool](t, dsn, "select exists (select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = current_database())") {
		t.Error("the live database has a setting")
	}
	if copies(t, dsn) != 0 || scratches(t, dsn) != 0 {
		t.Error("a copy is left")
	}
}

func TestWhatGoesBeyondTheDatabaseIsNotRehearsed(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	sql, role := beyond(t, dsn)
	up := withDown(t, write(t, "1_a.sql", "create table a (id int);\n", "2_n.sql", sql), "2_n.sql", "drop table n;\n")
	down := withDown(t, write(t, "1_n.sql", "create table n (id int);\n"), "1_n.sql", "drop table n;\n\ndrop role "+role+";\n")
	for _, c := range []struct {
		r    *schema.Rehearse
		want string
	}{
		{rehearse(dsn, up), "2_n.sql:2: ALTER DATABASE goes beyond the database"},
		{rehearse(dsn, down), "down/1_n.sql:3: DROP ROLE goes beyond the database"},
	} {
		c.r.Reverse = true
		_, err := c.r.Run(t.Context(), tasktest.Env(t))
		fails(t, err, c.want)
		fails(t, c.r.Check(t.Context(), tasktest.Env(t)), c.want)
	}
	untouched(t, dsn, role)
	before := rehearse(dsn, up)
	before.To = "1"
	if _, err := before.Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("what comes before it: %v", err)
	}
}

func TestWhatGoesBeyondTheDatabaseIsLeftOutOfAScratchDatabase(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	sql, role := beyond(t, dsn)
	dir := write(t, "1_n.sql", sql, "2_b.sql", "create table b (id int);\n")
	mustApply(t, apply(dsn, dir))
	do(t, dsn, "alter database "+query[string](t, dsn, "select quote_ident(current_database())")+" reset work_mem; drop owned by "+role+"; drop role "+role)
	standing := drift(t, dsn, dir, "")
	left := strings.Join(standing.LeftOut, "\n")
	for _, want := range []string{"1_n.sql:2: ALTER DATABASE", "1_n.sql:3: CREATE ROLE", "1_n.sql:4: GRANT ON DATABASE"} {
		if !strings.Contains(left, want) || len(standing.LeftOut) != 3 || standing.Drift != 0 {
			t.Errorf("%s is not in %+v", want, standing)
		}
	}
	untouched(t, dsn, role)
	for _, after := range []string{"", "1"} {
		if _, err := (&schema.Lint{Dir: dir, After: after, Dev: dsn}).Run(t.Context(), tasktest.Env(t)); err != nil {
			t.Errorf("after %q: %v", after, err)
		}
		untouched(t, dsn, role)
	}
}
