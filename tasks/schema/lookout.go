package schema

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/medlogistics/phasegate/internal/pg"
)

// A lookout finds out, from a session of its own, whom a waiting migration waits
// for: when the wait has failed, the server no longer knows. The session is
// opened at the first wait that is worth a look.
type lookout struct {
	config *pgx.ConnConfig
	waiter uint32 // number of the server's process that may wait
	conn   *pgx.Conn
}

// lookout looks at d's session.
func (d *database) lookout() *lookout { return &lookout{config: d.config, waiter: d.backend()} }

// backend is the number of the server's process that d's session has.
func (d *database) backend() (pid uint32) {
	_ = d.conn.Raw(func(driver any) error {
		pid = driver.(*stdlib.Conn).Conn().PgConn().PID()
		return nil
	})
	return pid
}

func (l *lookout) close() {
	if l.conn != nil {
		pg.Close(l.conn)
	}
}

// during runs work and returns its error and whom it was seen waiting for last,
// "" for nobody. It begins to look when half of the patience is over.
func (l *lookout) during(ctx context.Context, patience time.Duration, work func() error) (string, error) {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan string, 1)
	go func() { seen <- l.look(looking, patience/2) }()
	err := work()
	stop()
	return <-seen, err
}

// look returns whom the migration was seen waiting for last. It looks ever less
// often, at a statement that takes its time.
func (l *lookout) look(ctx context.Context, interval time.Duration) (last string) {
	for {
		select {
		case <-ctx.Done():
			return last
		case <-time.After(interval):
		}
		who, err := l.blockers(ctx)
		if err != nil {
			return last
		}
		if who != "" {
			last = who
		}
		interval = min(max(interval, 10*time.Millisecond)*5/4, time.Second)
	}
}

// blockers describes the sessions that the migration waits for now: by number
// and application, not by person.
func (l *lookout) blockers(ctx context.Context) (string, error) {
	// Not the context of the wait: a query that is cut off would cost the session,
	// and a connection that takes longer than one wait is there for the next.
	looking := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if l.conn == nil || l.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, l.config.Copy())
		if err != nil {
			return "", err
		}
		l.conn = conn
	}
	if looking.Err() != nil {
		return "", nil
	}
	var who sql.NullString
	err := l.conn.QueryRow(ctx, `
		select string_agg(case when p = 0 then 'a prepared transaction, see pg_prepared_xacts'
		                       else format('pid %s (%s, %s for %s s)', p, coalesce(nullif(application_name, ''), 'unnamed'),
		                                   coalesce(state, backend_type, 'state unknown'),
		                                   coalesce(extract(epoch from clock_timestamp() - xact_start)::int::text, '?'))
		                  end, ', ' order by xact_start)
		  from unnest(pg_blocking_pids($1)) p left join pg_stat_activity on pid = p`, int32(l.waiter)).Scan(&who)
	return who.String, err
}

// transactions describes the longest open transactions of others, which are what
// a lock is usually waited for: by application, not by person.
func (d *database) transactions(ctx context.Context) string {
	var who sql.NullString
	err := d.conn.QueryRowContext(ctx, `
		select string_agg(format('pid %s (%s, %s for %s s)', pid, coalesce(nullif(application_name, ''), 'unnamed'),
		                         coalesce(state, 'state unknown'), seconds), ', ')
		  from (select pid, application_name, state, extract(epoch from now() - xact_start)::int as seconds
		          from pg_stat_activity
		         where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
		         order by xact_start limit 3) oldest`).Scan(&who)
	if err != nil || who.String == "" {
		return "none now"
	}
	return who.String
}

// A blockedError is that a migration never got its locks.
type blockedError struct {
	err   error
	tries int
	each  time.Duration
	by    string
}

func (e *blockedError) Error() string { return e.with(e.err).Error() }
func (e *blockedError) Unwrap() error { return e.err }

// with adds to err, which says what could not be done, how often it was tried
// and who was in the way.
func (e *blockedError) with(err error) error {
	return fmt.Errorf("%w; tried %d times for %s; waited for: %s", err, e.tries, e.each, e.by)
}
