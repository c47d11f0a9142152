// Package postgres holds the tasks that keep a database safe during a cut-over:
// a backup that is proven readable, a copy beside the live database to go back
// to, the rename that goes back, and looks at the server and at the data.
//
// A backup is the copy that survives the server; the staged copy is the one to
// go back to, since a rename takes milliseconds and a restore takes minutes.
// Where a database cannot be renamed, the backup is restored over it in one
// transaction. A plain dump piped into a database that is not empty restores
// nothing, and pg_restore --clean stops at the first foreign key that a migration
// has added.
package postgres

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// A database is one line of the server's list of databases.
type database struct {
	oid     uint32
	name    string
	owner   string
	open    bool // takes connections
	bytes   int64
	found   bool
	mayRead bool // CONNECT, without which its size is not told
}

// lookUp finds a database by its name. It is no error if there is none.
func lookUp(ctx context.Context, conn *pgx.Conn, name string) (database, error) {
	rows, err := conn.Query(ctx, `
		select oid, datname::text, pg_get_userbyid(datdba)::text, datallowconn,
		       case when has_database_privilege(oid, 'connect') then pg_database_size(oid) else 0 end,
		       has_database_privilege(oid, 'connect')
		  from pg_database where datname = $1`, name)
	if err != nil {
		return database{}, fmt.Errorf("look for database %s: %w", name, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (database, error) {
		d := database{found: true}
		err := row.Scan(&d.oid, &d.name, &d.owner, &d.open, &d.bytes, &d.mayRead)
		return d, err
	})
	if err != nil {
		return database{}, fmt.Errorf("look for database %s: %w", name, err)
	}
	if len(list) == 0 {
		return database{name: name}, nil
	}
	return list[0], nil
}

// quote makes an SQL identifier of a name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal makes an SQL string of a value.
func literal(value string) string {
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// longestName is the length of an object's name, in bytes, beyond which the
// server cuts it off: NAMEDATALEN - 1.
const longestName = 63

// beside returns the name of a database that belongs to another one. The name of
// the latter is cut where both do not fit.
func beside(name, suffix string) string {
	cut := min(len(name), longestName-len(suffix))
	for cut > 0 && cut < len(name) && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + suffix
}

// short makes a run's id, or whatever else is given, fit to be part of a name:
// lower case letters, digits and underscores, the last 16 of them, where ids of
// runs differ.
func short(run string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, run)
	return strings.Trim(plain[max(0, len(plain)-16):], "_")
}
