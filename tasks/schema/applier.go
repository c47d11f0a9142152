package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/medlogistics/phasegate/runner/task"
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

	// doubt is whether the next statement outside a transaction may have been
	// run by a call that was killed before it could record it.
	doubt bool
}

// A watcher sees each statement run. A file is begun again after a try that did
// not get its locks.
type watcher interface {
	begin(ctx context.Context, file migrate.File, transactional bool) error
	statement(ctx context.Context, stmt *migrate.Stmt, run func() error) error
	end(ctx context.Context, finish func() error) error
}

// apply runs one migration, or what is left of it.
func (a *applier) apply(ctx context.Context, file migrate.File) error {
	transactional, err := a.folder.transactional(file)
	if err != nil {
		return err
	}
	err = a.patiently(ctx, file.Name(), func() error { return a.once(ctx, file, transactional) })
	if err == nil {
		return nil
	}
	if blocked, ok := errors.AsType[*blockedError](err); ok {
		return blocked.with(a.folder.failed(ctx, file, blocked.err))
	}
	return a.folder.failed(ctx, file, err)
}

// patiently calls try until it gets its locks. A try that does not get one soon
// gives way, so that the application's queries do not queue up behind it, and is
// called again a little later. The error of the last one tells who was waited for;
// one that comes from patience inside of try is final.
func (a *applier) patiently(ctx context.Context, name string, try func() error) error {
	out := a.database.lookout()
	defer out.close()
	for n := 1; ; n++ {
		waitedFor, err := out.during(ctx, a.limits.lock, try)
		if err == nil {
			return nil
		}
		if _, given := errors.AsType[*blockedError](err); given || !contended(err) || ctx.Err() != nil {
			return err
		}
		if waitedFor == "" {
			waitedFor = "not seen; transactions open longest: " + a.database.transactions(ctx)
		}
		if n >= a.limits.tries {
			return &blockedError{err: err, tries: n, each: a.limits.lock, by: waitedFor}
		}
		a.log.Info("another session locks a table, trying again soon", "file", name, "try", n, "waited for", waitedFor)
		if err := pause(ctx, a.limits.lock); err != nil {
			return err
		}
	}
}

// contended tells whether a lock was not to be had.
func contended(err error) bool {
	c := code(err)
	return c == lockNotAvailable || c == deadlockDetected
}

// pause gives way for between one and three times around, at least for two
// tenths of a second and at most for a few seconds: what has queued up behind
// us is to be served first, and two that queue for the same lock are not to meet
// again and again.
func pause(ctx context.Context, around time.Duration) error {
	around = min(max(around, 200*time.Millisecond), 2*time.Second)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(around + rand.N(2*around)):
		return nil
	}
}

// once runs a migration once.
func (a *applier) once(ctx context.Context, file migrate.File, transactional bool) error {
	if !transactional {
		return a.outsideOnce(ctx, file)
	}
	if err := a.watchFile(ctx, file, true); err != nil {
		return err
	}
	return a.inOne(ctx, func() error { return a.execute(ctx, file, a.database.revisions, a.inside) })
}

// watchFile lets whoever watches see the database before the file.
func (a *applier) watchFile(ctx context.Context, file migrate.File, transactional bool) error {
	if a.watch == nil {
		return nil
	}
	return a.watch.begin(ctx, file, transactional)
}

// inOne runs work and records it in one transaction, or takes it back.
func (a *applier) inOne(ctx context.Context, work func() error) error {
	number, err := a.begin(ctx)
	if err != nil {
		return err
	}
	history := a.database.revisions
	history.hold()
	err = work()
	if err == nil {
		err = a.finish(ctx, number)
	}
	if err != nil {
		history.drop()
		a.rollback(ctx)
	}
	return err
}

// begin makes the session ready, begins a transaction and returns its number, in
// one message to the server.
func (a *applier) begin(ctx context.Context) (number string, err error) {
	statements := a.preparation() + "; begin; select pg_catalog.txid_current()"
	err = a.database.conn.Raw(func(driver any) error {
		results, err := driver.(*stdlib.Conn).Conn().PgConn().Exec(ctx, statements).ReadAll()
		if err == nil {
			number = string(results[len(results)-1].Rows[0][0])
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("begin a transaction and set its limits: %w", err)
	}
	return number, nil
}

// finish records the migration as the account that connected, and commits it, if
// the transaction of that number is still there. A file that ends its own is refused before it is run; this is
// for one in which that was not to be seen.
func (a *applier) finish(ctx context.Context, number string) error {
	commit := func() error {
		err := a.database.revisions.flush(ctx,
			"reset session authorization; reset role; select 1 / (pg_catalog.txid_current() = "+number+")::int; ")
		switch {
		case isOver(err):
			return task.Hint(errors.New("a statement has ended the transaction that it was run in: what was done before may be there, and is not recorded"),
				"look at what is there, and take out what ends the transaction")
		case err != nil:
			return fmt.Errorf("record and commit it: %w", err)
		}
		return nil
	}
	if a.watch != nil {
		return a.watch.end(ctx, commit)
	}
	return commit()
}

// isOver tells whether it was the comparison of the transactions' numbers that
// failed: in a deferred trigger of the migration, the error would say where.
func isOver(err error) bool {
	server, ok := errors.AsType[*pgconn.PgError](err)
	return ok && server.Code == divisionByZero && server.Where == ""
}

func (a *applier) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = a.database.conn.ExecContext(ctx, "rollback")
}

// prepare makes the session ready for a migration, and then does more.
func (a *applier) prepare(ctx context.Context, more string) error {
	if err := a.inside(ctx, a.preparation()+more); err != nil {
		return fmt.Errorf("set the session's limits: %w", err)
	}
	return nil
}

// preparation takes away what an earlier migration has left in the session and
// sets the limits. No word of a migration tells whether it leaves something, since
// any function can, and all this takes a tenth of a millisecond. The server is to
// notice within a second that we are gone, and to let go of our locks.
//
// The server ends a routine vacuum that stands in the way of a lock, but only
// when it looks for deadlocks, by default after a second: with a shorter
// lock_timeout it never would. A superuser has it look earlier.
func (a *applier) preparation() string {
	statements := "reset session authorization; reset role; reset all; discard temp; discard sequences; " +
		"set client_connection_check_interval = '1s'; " + a.database.endless + "; " + a.timeouts()
	if a.database.superuser {
		statements += fmt.Sprintf("; set deadlock_timeout = '%dms'", max(1, a.limits.lock.Milliseconds()/2))
	}
	return statements
}

// timeouts is the statement that sets the limits.
func (a *applier) timeouts() string {
	return fmt.Sprintf("set lock_timeout = %d; set statement_timeout = %d",
		a.limits.lock.Milliseconds(), a.limits.statement.Milliseconds())
}

// execute has Atlas run the statements of file that are not recorded as run.
func (a *applier) execute(ctx context.Context, file migrate.File, history migrate.RevisionReadWriter, run runner) error {
	current := &current{}
	driver := driver{Driver: a.database.driver, run: run, watch: a.watch, current: current}
	executor, err := migrate.NewExecutor(driver, a.folder, history,
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
