package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

func assert(dsn redact.Secret, query, returns string, rows int64) *postgres.Assert {
	a := assertSpec.New().Config().(*postgres.Assert)
	a.DSN, a.Query, a.Returns, a.Rows = dsn, query, returns, rows
	return a
}

func TestAssertKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := database(t, "")
	tasktest.Conform(t, tasktest.Case{
		Spec:      assertSpec,
		Configure: func(config any) { *config.(*postgres.Assert) = *assert(dsn, "select 1", "1", -1) },
		Secrets:   []string{password(t, dsn)},
	})
}

func TestAssertComparesTheAnswer(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table users (id int, name text); insert into users values (1, 'x'), (2, null)")
	cases := map[string]struct {
		query, returns string
		rows           int64
		value, want    string // want is the error, "" for none
	}{
		"a number":            {"select count(*) from users", "2", -1, "2", ""},
		"another number":      {"select count(*) from users", "0", -1, "2", `expected "0", but the query returned "2"`},
		"true":                {"select count(*) = 2 from users", "true", -1, "true", ""},
		"false":               {"select count(*) = 3 from users", "true", -1, "false", `expected "true", but the query returned "false"`},
		"null":                {"select name from users where id = 2", "NULL", -1, "NULL", ""},
		"text with a comment": {"select name /* ; */ from users where id = 1", "x", -1, "x", ""},
		"no row":              {"select name from users where id = 3", "x", -1, "", `expected one row with "x", but the query returned 0 rows`},
		"two rows":            {"select id from users order by id", "1", -1, "1", `but the query returned 2 rows`},
		"rows":                {"select id, name from users order by id", "", 2, "1", ""},
		"no rows":             {"select id from users where id > 2", "", 0, "", ""},
		"other rows":          {"select id from users order by id", "", 1, "1", "expected 1 row, but the query returned 2"},
		"two columns":         {"select id, name from users limit 1", "1", -1, "1", "returns 2 columns, not one"},
		"no columns":          {"select from users", "", 2, "", "returns 0 columns"},
		"a long answer":       {"select repeat('x', 300)", "y", -1, strings.Repeat("x", 300), strings.Repeat("x", 200) + `..."`},
		"too long an answer":  {"select repeat('x', 5000)", "y", -1, "", "5000 bytes, more than 4096"},
		"a mistake":           {"selec 1", "1", -1, "", "syntax error"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			receipt, err := assert(dsn, c.query, c.returns, c.rows).Run(t.Context(), tasktest.Env(t))
			if receipt.Value != c.value {
				t.Errorf("value = %q, want %q", receipt.Value, c.value)
			}
			if c.want != "" {
				wantError(t, err, c.want, "")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAssertChangesNothing(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (id int); create function put() returns int language sql as 'insert into t values (1) returning 1'")
	for _, query := range []string{
		"insert into t values (1) returning 1", "select put()", "drop table t", "with x as (delete from t returning 1) select 1 from x",
		"select 1; commit; insert into t values (1)", "commit; insert into t values (1)", "set transaction read write",
	} {
		if _, err := assert(dsn, query, "1", -1).Run(t.Context(), tasktest.Env(t)); err == nil {
			t.Errorf("%s: no error", query)
		}
	}
	if n := value[int](t, dsn, "select count(*) from t"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func TestAssertStopsAQueryThatTakesTooLong(t *testing.T) {
	t.Parallel()
	a := assert(database(t, ""), "select pg_sleep(60)", "", 1)
	a.Timeout = 20 * time.Millisecond
	_, err := a.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "statement timeout", "")
}

func TestAssertIsReadByTheServerInACheck(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table users (id int)")
	check := func(query string) error { return assert(dsn, query, "1", -1).Check(t.Context(), tasktest.Env(t)) }
	wantError(t, check("selec 1"), "syntax error", "")
	wantError(t, check("select 1, 2"), "returns 2 columns, not one", "select one column")
	for _, later := range []string{"select count(*) from wards", "select auth0_user_id from users", "select 1"} {
		if err := check(later); err != nil {
			t.Errorf("what an earlier step may make: %s: %v", later, err)
		}
	}
}

func TestAssertConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*postgres.Assert){
		"query is empty":          func(a *postgres.Assert) { a.Query = " " },
		"nothing is expected":     func(a *postgres.Assert) { a.Returns = "" },
		"returns wants one row":   func(a *postgres.Assert) { a.Rows = 2 },
		"timeout is not positive": func(a *postgres.Assert) { a.Timeout = 0 },
	} {
		a := assert(redact.Secret{}, "select 1", "1", -1)
		change(a)
		wantError(t, a.Validate(), want, "")
	}
}
