package auth0

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
}

// table reads and links the users. It makes its connection again when that is
// lost, since every statement here may be repeated.
type table struct {
	dsn    redact.Secret
	users  Users
	idType string // of the id column, so that its index is used
	unique bool   // an Auth0 id can stand in one row only

	linkable bool // there is a column for it
	conn     *pgx.Conn
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
}

// do calls act with the connection, and again with a new one if it broke.
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
		if !t.conn.IsClosed() || try == tries {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		wait *= 2
		// A failure to connect leaves the closed connection, so the next turn tries again.
		if conn, err := pg.Connect(ctx, t.dsn); err == nil {
			t.conn = conn
		}
	}
}

// selection is the start of every query for rows, in the order of scan. The
// columns get names of their own: "order by id" would else mean the id as text.
func (t *table) selection() string {
	u := t.users
	optional := func(name string) string {
		if name == "" {
			return "''"
		}
		return "coalesce(" + quote(name) + "::text, '')"
	}
	verified := "true"
	if u.Verified != "" {
		verified = "coalesce(" + quote(u.Verified) + "::boolean, false)"
	}
	return fmt.Sprintf(`
		select %s::text as row_1, coalesce(%s::text, '') as row_2, coalesce(%s::text, '') as row_3,
		       %s as row_4, coalesce(%s, '') as row_5, %s as row_6, %s as row_7, %s as row_8, %s as row_9
		  from %s where %s`,
		quote(u.ID), quote(u.Email), quote(u.Role), optional(u.Name), quote(u.Auth0ID), verified,
		object(u.AppMetadata), object(u.UserMetadata), optional(u.PasswordHash), u.sanitized(), u.condition())
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
	err := r.Scan(&out.id, &out.email, &out.role, &out.name, &out.auth0ID,
		&out.verified, &out.appMeta, &out.userMeta, &out.hash)
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

// A link is a row's id and the user_id of its account.
type link struct{ row, user string }

// link writes user_ids into the rows, in one statement that commits by itself:
// it links a row that has none, and leaves one that has any. It returns the
// links that are not there afterwards, of rows that are gone or have another.
func (t *table) link(ctx context.Context, links []link) (missed []link, err error) {
	rows, users := make([]string, len(links)), make([]string, len(links))
	for i, l := range links {
		rows[i], users[i] = l.row, l.user
	}
	u := t.users
	update := fmt.Sprintf(`update %s t set %s = v.account from unnest($1::text[], $2::text[]) as v(id, account)
		where t.%s = v.id::%s and t.%[2]s is null`, u.sanitized(), quote(u.Auth0ID), quote(u.ID), t.idType)
	err = t.do(ctx, "write Auth0 ids back", func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, update, rows, users)
		if err != nil || done.RowsAffected() == int64(len(links)) {
			return err
		}
		missed, err = t.notLinked(ctx, conn, rows, users)
		return err
	})
	return missed, err
}

// notLinked returns those of the links that the table does not have. A statement
// that was repeated after its answer was lost finds all of them there.
func (t *table) notLinked(ctx context.Context, conn *pgx.Conn, rows, users []string) ([]link, error) {
	u := t.users
	found, err := conn.Query(ctx, fmt.Sprintf(`select v.id, v.account from unnest($1::text[], $2::text[]) as v(id, account)
		 where not exists (select from %s t where t.%s = v.id::%s and t.%s = v.account)`,
		u.sanitized(), quote(u.ID), t.idType, quote(u.Auth0ID)), rows, users)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(r pgx.CollectableRow) (l link, err error) {
		err = r.Scan(&l.row, &l.user)
		return l, err
	})
}
