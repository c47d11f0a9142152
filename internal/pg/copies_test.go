package pg_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	cluster "github.com/medlogistics/phasegate/internal/sandbox/postgres"
)

func TestAnEmptyDatabaseIsLikeAnotherInLocaleAndPlace(t *testing.T) {
	t.Parallel()
	server, err := cluster.Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	super := reach(t, server, "postgres")
	for _, sql := range []string{
		"set allow_in_place_tablespaces to on", "create tablespace \"fast disk\" location ''",
		"create role maker createdb",
		"create database german template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C' locale_provider icu icu_locale 'de-DE' tablespace \"fast disk\"",
		"create database usual template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'",
	} {
		execute(t, super, sql)
	}
	maker := reach(t, server, "postgres")
	execute(t, maker, "set role maker") // who has no right to any tablespace
	for like, conn := range map[string]*pgx.Conn{"german": super, "usual": maker} {
		statement, err := pg.EmptyLike(t.Context(), conn, like, "like "+like)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, conn, statement)
		const what = `select to_jsonb(d) - array['oid', 'datname', 'datdba', 'datacl', 'datfrozenxid', 'datminmxid'] from pg_database d where datname = $1`
		var want, got map[string]any
		if err := super.QueryRow(t.Context(), what, like).Scan(&want); err != nil {
			t.Fatal(err)
		}
		if err := super.QueryRow(t.Context(), what, "like "+like).Scan(&got); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s of a database like %s is %v, want %v", name, like, got[name], value)
			}
		}
	}
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func reach(t *testing.T, server *cluster.Cluster, database string) *pgx.Conn {
	t.Helper()
	conn, err := pg.Connect(t.Context(), server.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Close(conn) })
	return conn
}
