package pg

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Lock keeps every other phasegate, on whatever machine, off a database. It is
// a session's advisory lock in the maintenance database: it ends with the
// process that holds it, and it does not stand in the way of a rename. A lock in
// the database itself would do so, and would not be seen from another one.
type Lock struct{ conn *pgx.Conn }

// Acquire locks the database that dsn names, or says who holds it. It waits no
// longer than a killed process needs to let go. It refuses a pooler that shares
// sessions, see [Direct]: two clients would both have the lock.
func Acquire(ctx context.Context, dsn redact.Secret) (*Lock, error) {
	config, err := Parse(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := ConnectSystem(ctx, dsn, Maintenance)
	if err != nil {
		return nil, fmt.Errorf("lock database %s: %w", config.Database, err)
	}
	key := "phasegate:" + config.Database
	err = Direct(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, Endless(conn, "set"))
	}
	if err == nil {
		_, _ = conn.Exec(ctx, widowed) // not every system can tell the server
		err = tryLock(ctx, conn, key)
	}
	if err != nil {
		Close(conn)
		return nil, fmt.Errorf("lock database %s: %w", config.Database, err)
	}
	return &Lock{conn}, nil
}

// widowed has the server look, while a statement runs, whether the process that
// asked for it is still there: it would end a copy of gigabytes that was begun for
// one that was killed, and keep the lock until then.
const widowed = `set client_connection_check_interval to '250ms'`

// How long the session of a process that was just killed may take to end, and no
// reason to keep the next one off: one that is at work may have a copy to remove.
const (
	idleGrace   = time.Second
	activeGrace = 15 * time.Second
)

// Follow waits until no session is at work in conn's database that followed another
// one there before: the server goes on with the last statement of a process that was
// killed, and may commit it, when the lock on the database is free already. The next
// to follow waits for conn's session.
func Follow(ctx context.Context, conn *pgx.Conn) error {
	if err := tryLock(ctx, conn, "phasegate"); err != nil {
		return fmt.Errorf("wait for the session of an earlier call in database %s: %w", conn.Config().Database, err)
	}
	return nil
}

// tryLock takes the lock or says who has it.
func tryLock(ctx context.Context, conn *pgx.Conn, key string) error {
	began := time.Now()
	for active := began; ; { // when its holder was last seen at work
		var locked bool
		err := conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended($1, 0))`, key).Scan(&locked)
		if err != nil || locked {
			return err
		}
		who, working := holder(ctx, conn, key)
		if working {
			active = time.Now()
		}
		if time.Since(active) > idleGrace || time.Since(began) > activeGrace {
			return task.Hint(fmt.Errorf("another phasegate works on it%s", who),
				"wait until it has ended, or end it; phasegate status shows the runs of this journal")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Conn returns the session that has the lock, connected to the maintenance
// database. What is done in it cannot go on after the lock is lost.
func (l *Lock) Conn() *pgx.Conn { return l.conn }

// Release gives the lock back before it returns, so that the next step of a run
// finds it free: a session that is closed ends only a moment later.
func (l *Lock) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = l.conn.Exec(ctx, `select pg_advisory_unlock_all()`) // if it fails, the session's end gives it back
	Close(l.conn)
}

// holder describes the session that has the lock, or returns "", and tells whether it
// carries out a statement.
func holder(ctx context.Context, conn *pgx.Conn, key string) (who string, active bool) {
	err := conn.QueryRow(ctx, `
		select format(', from %s since %s UTC', coalesce(host(a.client_addr), 'the server itself'),
		              to_char(a.backend_start at time zone 'UTC', 'HH24:MI:SS')),
		       a.state is not distinct from 'active'
		  from pg_locks l join pg_stat_activity a using (pid)
		 where l.locktype = 'advisory' and l.granted
		   and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)
		   and l.database = (select oid from pg_database where datname = current_database())`, key).Scan(&who, &active)
	if err != nil {
		return "", false
	}
	return who, active
}
