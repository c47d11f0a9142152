package schema

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
)

// limits are how long a statement may wait and run.
type limits struct {
	lock      time.Duration // for a lock, before it gets out of the queue
	tries     int           // how often a migration queues for its locks
	statement time.Duration // for one statement; 0 is no limit
}

// An applier runs migrations in a database, each in a transaction of its own
// together with the record of it, unless its file says otherwise.
type applier struct {
	database *database
	folder   *folder
	limits   limits
	log      *slog.Logger
	watch    watcher // nil if nobody watches
}

// A watcher sees each statement run. A file is begun again after a try that did
// not get its locks.
type watcher interface {
	begin(ctx context.Context, file migrate.File, transactional bool) error
	statement(ctx context.Context, stmt *migrate.Stmt, run func() error) error
	end(ctx context.Context, finish func() error) error
}

// apply runs one migration, or what is left of it. A migration that cannot get
// a lock soon gives way, so that the application's queries do not queue up
// behind it, and tries again a little later.
func (a *applier) apply(ctx context.Context, file migrate.File) error {
	transactional, err := a.folder.transactional(file)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := a.once(ctx, file, transactional)
		if err == nil {
			return nil
		}
		if code(err) != lockNotAvailable || ctx.Err() != nil {
			return a.folder.failed(ctx, file, err)
		}
		others := a.database.transactions(ctx)
		if try >= a.limits.tries {
			return fmt.Errorf("%w; tried %d times for %s; transactions open longest: %s",
				a.folder.failed(ctx, file, err), try, a.limits.lock, others)
		}
		a.log.Info("another session locks a table, trying again soon", "file", file.Name(), "try", try, "open longest", others)
		if err := pause(ctx, a.limits.lock); err != nil {
			return a.folder.failed(ctx, file, err)
		}
	}
}

// pause gives way for between a half and one and a half times around, at least
// for a tenth of a second and at most for a few seconds: two that queue for the
// same lock are not to meet again and again.
func pause(ctx context.Context, around time.Duration) error {
	around = min(max(around, 200*time.Millisecond), 2*time.Second)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(around/2 + rand.N(around)):
		return nil
	}
}

// once runs a migration once.
func (a *applier) once(ctx context.Context, file migrate.File, transactional bool) error {
	if err := a.prepare(ctx); err != nil {
		return err
	}
	if a.watch != nil {
		if err := a.watch.begin(ctx, file, transactional); err != nil {
			return err
		}
	}
	if !transactional {
		return a.execute(ctx, file, a.outside)
	}
	conn, history := a.database.conn, a.database.revisions
	if _, err := conn.ExecContext(ctx, "begin"); err != nil {
		return err
	}
	history.hold()
	err := a.execute(ctx, file, a.inside)
	if err == nil {
		err = a.finish(ctx)
	}
	if err != nil {
		history.drop()
		a.rollback(ctx)
	}
	return err
}

// finish records the migration and commits it.
func (a *applier) finish(ctx context.Context) error {
	commit := func() error {
		if err := a.database.revisions.flush(ctx); err != nil {
			return fmt.Errorf("record it: %w", err)
		}
		_, err := a.database.conn.ExecContext(ctx, "commit")
		return err
	}
	if a.watch != nil {
		return a.watch.end(ctx, commit)
	}
	return commit()
}

func (a *applier) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = a.database.conn.ExecContext(ctx, "rollback")
}

// prepare undoes what an earlier migration has set in the session, and sets the
// limits. The server is to notice within a second that we are gone, and to let
// go of our locks.
func (a *applier) prepare(ctx context.Context) error {
	_, err := a.database.conn.ExecContext(ctx, fmt.Sprintf(
		"reset all; reset role; set client_connection_check_interval = '1s'; set lock_timeout = %d; set statement_timeout = %d",
		a.limits.lock.Milliseconds(), a.limits.statement.Milliseconds()))
	if err != nil {
		return fmt.Errorf("set the session's limits: %w", err)
	}
	return nil
}

// execute has Atlas run the statements of file that are not recorded as run.
func (a *applier) execute(ctx context.Context, file migrate.File, run runner) error {
	current := &current{}
	driver := driver{Driver: a.database.driver, run: run, watch: a.watch, current: current}
	executor, err := migrate.NewExecutor(driver, a.folder, a.database.revisions,
		migrate.WithLogger(current), migrate.WithOperatorVersion("phasegate"))
	if err != nil {
		return err
	}
	return executor.Execute(ctx, file)
}

// A runner runs one statement of a migration.
type runner func(ctx context.Context, sql string) error

func (a *applier) inside(ctx context.Context, sql string) error {
	_, err := a.database.conn.ExecContext(ctx, sql)
	return err
}

// A driver is Atlas's with our hand on the statements of a migration.
type driver struct {
	migrate.Driver
	run     runner
	watch   watcher
	current *current
}

// ExecContext runs one statement of a migration.
func (d driver) ExecContext(ctx context.Context, query string, _ ...any) (sql.Result, error) {
	if d.watch == nil {
		return nil, d.run(ctx, query)
	}
	return nil, d.watch.statement(ctx, d.current.stmt, func() error { return d.run(ctx, query) })
}

// ScanStmts cuts a file into statements as PostgreSQL does. Atlas asks for it
// only where it sees it, which is not through an embedded interface.
func (d driver) ScanStmts(input string) ([]*migrate.Stmt, error) {
	return (&postgres.Driver{}).ScanStmts(input)
}

// current is the statement that Atlas is about to run, by its log.
type current struct{ stmt *migrate.Stmt }

// Log takes note of the statement.
func (c *current) Log(entry migrate.LogEntry) {
	if entry, ok := entry.(migrate.LogStmt); ok {
		c.stmt = entry.Stmt
	}
}

// transactions describes the longest open transactions of others, which are what
// a lock is usually waited for: by application, not by person.
func (d *database) transactions(ctx context.Context) string {
	var who sql.NullString
	err := d.conn.QueryRowContext(ctx, `
		select string_agg(format('%s (%s for %s s)', coalesce(nullif(application_name, ''), 'unnamed'),
		                         coalesce(state, 'unknown'), seconds), ', ')
		  from (select application_name, state, extract(epoch from now() - xact_start)::int as seconds
		          from pg_stat_activity
		         where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
		         order by xact_start limit 3) oldest`).Scan(&who)
	if err != nil || who.String == "" {
		return "none now"
	}
	return who.String
}
