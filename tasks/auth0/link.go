package auth0

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
)

// A link is a row's id and the user_id of its account.
type link struct {
	row, user   string
	version     string // of the row that was read, see row
	digest      int64  // of that row, see table.digest
	secret      int64  // of that row, see table.secret
	changed     bool   // the row was not linked since it is another by now
	newPassword bool   // the row's password hash is another by now
}

// apart is how many links are worth two connections: each has a processor of the
// server's, most of whose time goes into the table's indexes.
const apart = 500

// link writes user_ids into the rows: it links a row that has none and is as it was
// read, and leaves any other. It returns the links that are not there afterwards,
// of rows that changed, are gone or have another, and with an error those of which
// it does not know.
func (t *table) link(ctx context.Context, links []link) (missed, unknown []link, err error) {
	if len(links) < apart || !t.doubled(ctx) {
		return t.write(ctx, links)
	}
	half := len(links) / 2
	var moreMissed, moreUnknown []link
	var moreErr error
	var other sync.WaitGroup
	other.Go(func() { moreMissed, moreUnknown, moreErr = t.second.write(ctx, links[half:]) })
	missed, unknown, err = t.write(ctx, links[:half])
	other.Wait()
	return append(missed, moreMissed...), append(unknown, moreUnknown...), errors.Join(err, moreErr)
}

// doubled tells whether there is a second connection. Where the server has none
// left, one has to do.
func (t *table) doubled(ctx context.Context) bool {
	if t.second != nil {
		return true
	}
	conn, err := pg.Connect(ctx, t.dsn)
	if err != nil {
		return false
	}
	second := *t
	second.conn = conn
	t.second = &second
	return true
}

// write is link on this connection, in one statement that commits by itself.
func (t *table) write(ctx context.Context, links []link) (missed, unknown []link, err error) {
	rows, users, digests := columnsOf(links)
	versions := make([]string, len(links))
	for i, l := range links {
		versions[i] = l.version
	}
	u := t.users
	// Most rows are the very version that was read, which is cheaper to tell than a hash.
	update := fmt.Sprintf(`
		update %s set %s = link_user
		  from unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) as links(link_row, link_user, link_digest, link_version)
		 where %s = link_row::%s and %[2]s is null and (xmin::text = link_version or %[5]s = link_digest and %[6]s)`,
		u.sanitized(), quote(u.Auth0ID), quote(u.ID), t.idType, t.digest(), u.condition())
	err = t.do(ctx, "write Auth0 ids back", func(conn *pgx.Conn) error {
		done, err := conn.Exec(ctx, update, rows, users, digests, versions)
		if err != nil || done.RowsAffected() == int64(len(links)) {
			return err
		}
		missed, err = t.notLinked(ctx, conn, links)
		return err
	})
	if err != nil {
		return nil, links, err
	}
	return missed, nil, nil
}

// columnsOf returns the links as the columns of a table.
func columnsOf(links []link) (rows, users []string, digests []int64) {
	for _, l := range links {
		rows, users, digests = append(rows, l.row), append(users, l.user), append(digests, l.digest)
	}
	return rows, users, digests
}

// notLinked returns those of the links that the table does not have. A statement
// that was repeated after its answer was lost finds all of them there.
func (t *table) notLinked(ctx context.Context, conn *pgx.Conn, links []link) ([]link, error) {
	rows, users, digests := columnsOf(links)
	u := t.users
	found, err := conn.Query(ctx, fmt.Sprintf(`
		select link_row, link_user, link_digest, exists (select from %[1]s where %[2]s = link_row::%[3]s and %[4]s is null and %[5]s)
		  from unnest($1::text[], $2::text[], $3::bigint[]) as links(link_row, link_user, link_digest)
		 where not exists (select from %[1]s where %[2]s = link_row::%[3]s and %[4]s = link_user)`,
		u.sanitized(), quote(u.ID), t.idType, quote(u.Auth0ID), u.condition()), rows, users, digests)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scanLink)
}

// strayed returns those of the links whose rows are not any more what they were
// read as, with the same Auth0 id. It tells of each whether its password is another.
func (t *table) strayed(ctx context.Context, links []link) (strayed []link, err error) {
	rows, users, digests := columnsOf(links)
	u := t.users
	secrets := make([]int64, len(links))
	for i, l := range links {
		secrets[i] = l.secret
	}
	query := fmt.Sprintf(`
		select link_row, link_user, link_digest, exists (select from %[1]s where %[2]s = link_row::%[3]s and %[6]s <> link_secret)
		  from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as links(link_row, link_user, link_digest, link_secret)
		 where not exists (select from %[1]s where %[2]s = link_row::%[3]s and %[4]s = link_user and %[5]s = link_digest
		                      and %[6]s = link_secret and %[7]s)`,
		u.sanitized(), quote(u.ID), t.idType, quote(u.Auth0ID), t.digest(), t.secret(), u.condition())
	err = t.do(ctx, "look for rows that changed", func(conn *pgx.Conn) error {
		found, err := conn.Query(ctx, query, rows, users, digests, secrets)
		if err != nil {
			return err
		}
		strayed, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (l link, err error) {
			err = r.Scan(&l.row, &l.user, &l.digest, &l.newPassword)
			return l, err
		})
		return err
	})
	return strayed, err
}

func scanLink(r pgx.CollectableRow) (l link, err error) {
	err = r.Scan(&l.row, &l.user, &l.digest, &l.changed)
	return l, err
}
