package pg

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Lock keeps every other phasegate, on whatever machine, off a database. It is
// a session's advisory lock in the maintenance database: it ends with the
// process that holds it, and it does not stand in the way of a rename. A lock in
// the database itself would do so, and would not be seen from another one.
type Lock struct{ conn *pgx.Conn }

// Acquire locks the database that dsn names, or says who holds it. It does not
// wait. It refuses a pooler that shares sessions, see [Direct]: two clients would
// both have the lock.
func Acquire(ctx context.Context, dsn redact.Secret) (*Lock, error) {
	config, err := Parse(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := ConnectTo(ctx, dsn, Maintenance)
	if err != nil {
		return nil, fmt.Errorf("lock database %s: %w", config.Database, err)
	}
	key := "phasegate:" + config.Database
	err = Direct(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, endless, false)
	}
	if err == nil {
		err = tryLock(ctx, conn, key)
	}
	if err != nil {
		Close(conn)
		return nil, fmt.Errorf("lock database %s: %w", config.Database, err)
	}
	return &Lock{conn}, nil
}

// tryLock takes the lock or says who has it.
func tryLock(ctx context.Context, conn *pgx.Conn, key string) error {
	var locked bool
	err := conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended($1, 0))`, key).Scan(&locked)
	if err != nil || locked {
		return err
	}
	return task.Hint(fmt.Errorf("another phasegate works on it%s", holder(ctx, conn, key)),
		"wait until it has ended, or end it; phasegate status shows the runs of this journal")
}

// Release gives the lock back by closing its session.
func (l *Lock) Release() { Close(l.conn) }

// holder describes the session that has the lock, or returns "".
func holder(ctx context.Context, conn *pgx.Conn, key string) string {
	var who string
	err := conn.QueryRow(ctx, `
		select format(', from %s since %s UTC', coalesce(host(a.client_addr), 'the server itself'),
		              to_char(a.backend_start at time zone 'UTC', 'HH24:MI:SS'))
		  from pg_locks l join pg_stat_activity a using (pid)
		 where l.locktype = 'advisory' and l.granted
		   and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)
		   and l.database = (select oid from pg_database where datname = current_database())`, key).Scan(&who)
	if err != nil {
		return ""
	}
	return who
}
