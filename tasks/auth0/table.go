package auth0

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
)

// A row is a user in the database. Fields that are null are "".
type row struct {
	id      string
	email   string
	role    string
	name    string
	auth0ID string

	verified bool   // the address is confirmed
	appMeta  string // a JSON object
	userMeta string // a JSON object
	hash     string // of the password
	version  string // of the row itself: every update makes a new one
	digest   int64  // see table.digest
	secret   int64  // see table.secret
}

// table reads and links the users. It makes its connection again when that is
// lost, since every statement here may be repeated.
type table struct {
	dsn    redact.Secret
	users  Users
	idType string // of the id column, so that its index is used
	unique bool   // an Auth0 id can stand in one row only

	linkable bool  // there is a column for it
	salt     int64 // of the rows' digests, 0 where nobody compares them
	conn     *pgx.Conn
	second   *table // writes the other half of many links; nil before there were any
}

func openTable(ctx context.Context, dsn redact.Secret, users Users) (*table, error) {
	conn, err := pg.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	t := &table{dsn: dsn, users: users, conn: conn}
	columns, err := users.inspect(ctx, conn)
	if err != nil {
		t.close()
		return nil, err
	}
	t.idType, t.unique = columns[users.ID].kind, columns[users.Auth0ID].unique
	_, t.linkable = columns[users.Auth0ID]
	return t, nil
}

func (t *table) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t.conn.Close(ctx)
	if t.second != nil {
		t.second.close()
	}
}

// do calls act with the connection, and again if the server has taken the statement
// back for the sake of another session's, or with a new connection if it broke.
func (t *table) do(ctx context.Context, what string, act func(*pgx.Conn) error) error {
	wait := firstBackoff
	for try := 1; ; try++ {
		err := act(t.conn)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if !t.conn.IsClosed() && !takenBack(err) || try == tries {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		wait *= 2
		if !t.conn.IsClosed() {
			continue
		}
		// A failure to connect leaves the closed connection, so the next turn tries again.
		if conn, err := pg.Connect(ctx, t.dsn); err == nil {
			t.conn = conn
		}
	}
}

// takenBack tells whether the server has rolled a transaction back, so that it may be
// repeated: the application's, say, has locked the same rows in another order. See class
// 40 in https://www.postgresql.org/docs/current/errcodes-appendix.html.
func takenBack(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(server.Code, "40")
}

// values are the SQL of what an account takes from its row, but for the password:
// address, role, name, whether the address is confirmed, and the metadata.
func (t *table) values() []string {
	u := t.users
	verified := "true"
	if u.Verified != "" {
		verified = "coalesce(" + quote(u.Verified) + "::boolean, false)"
	}
	return []string{
		optional(u.Email), optional(u.Role), optional(u.Name), verified, object(u.AppMetadata), object(u.UserMetadata),
	}
}

// optional returns the SQL of a column's text, "" for null and for no column.
func optional(name string) string {
	if name == "" {
		return "''"
	}
	return "coalesce(" + quote(name) + "::text, '')"
}

// digest returns the SQL of a salted hash of a row's values, by which it is told
// whether they have changed.
func (t *table) digest() string {
	if t.salt == 0 {
		return "0::bigint"
	}
	return fmt.Sprintf("hashtextextended(concat_ws(E'\\x1f', %s), %d)", strings.Join(t.values(), ", "), t.salt)
}

// secret returns the SQL of a salted hash of a row's password hash.
func (t *table) secret() string {
	if t.salt == 0 || t.users.PasswordHash == "" {
		return "0::bigint"
	}
	return fmt.Sprintf("hashtextextended(%s, %d)", optional(t.users.PasswordHash), t.salt)
}

// selection is the start of every query for rows, in the order of scan. The
// columns get names of their own: "order by id" would else mean the id as text.
func (t *table) selection() string {
	u := t.users
	columns := append(t.values(), quote(u.ID)+"::text", "coalesce("+quote(u.Auth0ID)+", '')", optional(u.PasswordHash),
		"xmin::text", t.digest(), t.secret())
	for i, sql := range columns {
		columns[i] = fmt.Sprintf("%s as row_%d", sql, i+1)
	}
	return fmt.Sprintf("select %s from %s where %s", strings.Join(columns, ", "), u.sanitized(), u.condition())
}

// object returns the SQL of a JSON object with columns as its values.
func object(columns map[string]string) string {
	if len(columns) == 0 {
		return "''"
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(columns)) {
		parts = append(parts, literal(key)+", "+quote(columns[key]))
	}
	return "jsonb_strip_nulls(jsonb_build_object(" + strings.Join(parts, ", ") + "))::text"
}

// literal returns a text as SQL, whatever standard_conforming_strings says.
func literal(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

func scan(r pgx.CollectableRow) (row, error) {
	var out row
	err := r.Scan(&out.email, &out.role, &out.name, &out.verified, &out.appMeta, &out.userMeta,
		&out.id, &out.auth0ID, &out.hash, &out.version, &out.digest, &out.secret)
	return out, err
}

// A span is a part of the rows in the order of their ids: those after one, up to
// another. "" stands for the beginning and for the end.
type span struct{ after, last string }

// unlinked returns the first n rows of a span that have no Auth0 id. A cursor
// costs the same on every page, where "the first that are null" would pass over
// more and more that are done.
func (t *table) unlinked(ctx context.Context, s span, n int) ([]row, error) {
	return t.page(ctx, "is null", s, n)
}

// page returns the first n rows of a span whose Auth0 id meets a condition.
func (t *table) page(ctx context.Context, auth0ID string, s span, n int) (page []row, err error) {
	id := quote(t.users.ID)
	query, args := t.selection()+" and "+quote(t.users.Auth0ID)+" "+auth0ID, []any{n}
	for _, bound := range []struct{ sign, value string }{{">", s.after}, {"<=", s.last}} {
		if bound.value != "" {
			args = append(args, bound.value)
			query += fmt.Sprintf(" and %s %s $%d::text::%s", id, bound.sign, len(args), t.idType)
		}
	}
	query += " order by " + id + " limit $1"
	err = t.do(ctx, "read users", func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, scan)
		return err
	})
	return page, err
}

// rows returns the rows with these ids.
func (t *table) rows(ctx context.Context, ids []string) (found []row, err error) {
	query := fmt.Sprintf("%s and %s = any($1::text[]::%s[])", t.selection(), quote(t.users.ID), t.idType)
	err = t.do(ctx, "read users again", func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query, ids)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, scan)
		return err
	})
	return found, err
}

// linked returns up to n rows of a role that have an Auth0 id.
func (t *table) linked(ctx context.Context, role string, n int) (page []row, err error) {
	query := fmt.Sprintf("%s and %s is not null and %s::text = $1 order by %s limit $2",
		t.selection(), quote(t.users.Auth0ID), quote(t.users.Role), quote(t.users.ID))
	err = t.do(ctx, "read users with an Auth0 id", func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query, role, n)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, scan)
		return err
	})
	return page, err
}

// each calls f with every row, in no order.
func (t *table) each(ctx context.Context, f func(row) error) error {
	rows, err := t.conn.Query(ctx, t.selection())
	if err != nil {
		return fmt.Errorf("read the users: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return fmt.Errorf("read the users: %w", err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil && ctx.Err() != nil {
		return fmt.Errorf("read the users: %w", context.Cause(ctx))
	} else if err != nil {
		return fmt.Errorf("read the users: %w", err)
	}
	return nil
}

// count returns how many rows there are, and how many have an Auth0 id.
func (t *table) count(ctx context.Context) (users, linked int64, err error) {
	err = t.do(ctx, "count the users", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, fmt.Sprintf(`select count(*), count(%s) from %s where %s`,
			quote(t.users.Auth0ID), t.users.sanitized(), t.users.condition())).Scan(&users, &linked)
	})
	return users, linked, err
}

// analyze tells the planner how many rows have no Auth0 id. For a column that has
// just been added it takes that for one in two hundred, and would sort the whole
// table for every page. Where it may not or cannot, pages are slow, no more.
func (t *table) analyze(ctx context.Context) {
	_, _ = t.conn.Exec(ctx, fmt.Sprintf("set lock_timeout = '2s'; analyze %s (%s); reset lock_timeout",
		t.users.sanitized(), quote(t.users.Auth0ID)))
}

// twins returns the ids of the rows without an Auth0 id whose address another
// row has too, when capitals are not told apart. The tenant keeps addresses in
// lower case, so that only one of them could have an account.
func (t *table) twins(ctx context.Context) (map[string]bool, error) {
	u := t.users
	twins := map[string]bool{}
	err := t.do(ctx, "look for addresses that differ only in capitals", func(conn *pgx.Conn) error {
		clear(twins)
		rows, err := conn.Query(ctx, fmt.Sprintf(`
			select u.%[1]s::text from %[2]s u
			  join (select lower(%[3]s::text) as address from %[2]s where %[4]s and %[3]s is not null
			         group by 1 having count(*) > 1) d on d.address = lower(u.%[3]s::text)
			 where u.%[5]s is null`, quote(u.ID), u.sanitized(), quote(u.Email), u.condition(), quote(u.Auth0ID)))
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, id := range ids {
			twins[id] = true
		}
		return err
	})
	return twins, err
}
