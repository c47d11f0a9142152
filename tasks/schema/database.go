// Package schema brings a database's schema from one version to the next, by
// versioned migrations in Atlas's format, and rehearses that on a copy first.
// It works on its own connection to the server and runs no program of the
// application, so that it does not need the application up.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// A database is one session with a database, and what Atlas needs to work in it.
// That a transaction, the statements in it and the record of them share the
// session is what makes them one.
type database struct {
	name      string
	config    *pgx.ConnConfig
	pool      *sql.DB
	conn      *sql.Conn
	driver    migrate.Driver
	revisions *revisions
	endless   string // statements, see pg.Endless
	superuser bool   // whether the account that connected is one
}

// open connects to the database that dsn names.
func open(ctx context.Context, dsn redact.Secret) (*database, error) {
	config, err := pg.Parse(dsn)
	if err != nil {
		return nil, err
	}
	return openConfig(ctx, dsn, config)
}

// openConfig connects as config says, which came from dsn, and refuses a pooler
// that would hand the session's limits and transactions to others: it may share
// the sessions of one database and not those of another.
func openConfig(ctx context.Context, dsn redact.Secret, config *pgx.ConnConfig) (*database, error) {
	pool := stdlib.OpenDB(*config)
	conn, err := pool.Conn(ctx)
	if err != nil {
		_ = pool.Close()
		return nil, explain(ctx, dsn, config.Database)
	}
	d := &database{name: config.Database, config: config, pool: pool, conn: conn, revisions: &revisions{conn: conn}}
	err = conn.Raw(func(driver any) error { return d.settle(ctx, driver.(*stdlib.Conn).Conn()) })
	if err != nil {
		d.close()
		return nil, err
	}
	if d.driver, err = postgres.Open(conn); err != nil {
		d.close()
		return nil, fmt.Errorf("look at database %s: %w", config.Database, err)
	}
	return d, nil
}

// settle looks at the session that was opened, and has the server not end it: it is
// idle while a dump is made or rows are compared beside it.
func (d *database) settle(ctx context.Context, conn *pgx.Conn) error {
	if err := pg.Direct(ctx, conn); err != nil {
		return err
	}
	d.endless, d.superuser = pg.Endless(conn, "set"), conn.PgConn().ParameterStatus("is_superuser") == "on"
	return conn.PgConn().Exec(ctx, d.endless).Close()
}

// openLocked connects and takes the lock that keeps every other phasegate off
// the database, both at once. It returns when nothing is under way any more that a
// killed call has begun.
func openLocked(ctx context.Context, dsn redact.Secret) (*database, *pg.Lock, error) {
	type opened struct {
		database *database
		err      error
	}
	connected := make(chan opened, 1)
	go func() {
		d, err := open(ctx, dsn)
		connected <- opened{d, err}
	}()
	lock, err := pg.Acquire(ctx, dsn)
	other := <-connected
	failed := err
	if failed == nil {
		failed = other.err
	}
	if failed == nil {
		failed = other.database.conn.Raw(func(driver any) error { return pg.Follow(ctx, driver.(*stdlib.Conn).Conn()) })
	}
	if failed == nil {
		return other.database, lock, nil
	}
	if err == nil {
		lock.Release()
	}
	if other.err == nil {
		other.database.close()
	}
	return nil, nil, failed
}

// explain connects once more, in the way that says what is wrong.
func explain(ctx context.Context, dsn redact.Secret, database string) error {
	conn, err := pg.ConnectTo(ctx, dsn, database)
	if err != nil {
		return err
	}
	_ = conn.Close(ctx)
	return task.Hint(fmt.Errorf("connect to database %s: the connection failed once and succeeded the next time", database),
		"go on with the run")
}

func (d *database) close() {
	_ = d.conn.Close()
	_ = d.pool.Close()
}

// A standing is where a database is on the way through a folder's migrations.
type standing struct {
	current string         // the last version applied as a whole, "" for none
	applied []string       // every version applied as a whole, oldest first
	partial string         // the version of which only some statements are, or ""
	adopt   migrate.File   // the baseline that is not in the history yet, or nil
	pending []migrate.File // still to be applied, the partial one included
}

// compare finds out where the database stands. It changes nothing. The baseline
// is the version whose tables are there in a database without a history; in an
// empty database it is a version like any other.
func (d *database) compare(ctx context.Context, f *folder, baseline string) (standing, error) {
	history, err := d.revisions.ReadRevisions(ctx)
	if err != nil {
		return standing{}, err
	}
	var s standing
	options := []migrate.ExecutorOption{}
	switch {
	case len(history) > 0:
		err = s.read(history, f)
	case baseline != "":
		options, err = d.begin(ctx, f, baseline, &s)
	}
	if err != nil {
		return standing{}, err
	}
	executor, err := migrate.NewExecutor(blankFirst{d.driver, d.conn}, f, looking{d.revisions}, options...)
	if err != nil {
		return standing{}, err
	}
	s.pending, err = executor.Pending(ctx)
	if err != nil && !errors.Is(err, migrate.ErrNoPendingFiles) {
		return standing{}, pendingError(f, err)
	}
	d.revisions.folder = f
	return s, f.unchanged(history)
}

// read takes over what the history says.
func (s *standing) read(history []*migrate.Revision, f *folder) error {
	for _, revision := range history {
		if revision.Applied == revision.Total {
			s.current, s.applied = revision.Version, append(s.applied, revision.Version)
		} else {
			s.partial = revision.Version
		}
	}
	last := history[len(history)-1]
	if _, ok := f.version(last.Version); !ok {
		return task.Hint(fmt.Errorf("the database is at version %s, which is not among the migrations in %s: %s", last.Version, f.Path(), f.known()),
			"use the migrations of the release that the database belongs to")
	}
	for _, revision := range history {
		if _, ok := f.version(revision.Version); !ok && revision.Type&migrate.RevisionTypeBaseline == 0 {
			return task.Hint(fmt.Errorf("version %s (%s) was applied to the database, and its file is not among the migrations in %s any more", revision.Version, revision.Description, f.Path()),
				"restore the file from the version that was applied; what is to be undone needs a new migration")
		}
	}
	return nil
}

// unchanged holds that the files are those that were applied. Atlas records with a
// version a checksum of all files up to it: the newest one that fits vouches for all
// before it, such as one whose file was mended after a part of it had failed. A
// version that is applied in part may still be mended, as far as Atlas lets it be.
func (f *folder) unchanged(history []*migrate.Revision) error {
	var changed migrate.File
	for _, revision := range slices.Backward(history) {
		file, ok := f.version(revision.Version)
		if !ok || revision.Type&migrate.RevisionTypeBaseline != 0 || revision.Hash == "" || revision.Applied != revision.Total {
			continue
		}
		if revision.Hash == f.sum(file) {
			break
		}
		changed = file
	}
	if changed == nil {
		return nil
	}
	what := filepath.Join(f.Path(), changed.Name())
	if history[0].Type&migrate.RevisionTypeBaseline != 0 && history[1].Version == changed.Version() {
		what += ", or a file before it,"
	}
	return task.Hint(fmt.Errorf("%s was changed after version %s had been applied to the database", what, changed.Version()),
		"restore the file from the version that was applied, and write atlas.sum anew; a change belongs into a new migration")
}

// sum is the checksum that is recorded with a file, of it and all before it.
func (f *folder) sum(file migrate.File) string {
	sum, _ := f.sums.SumByName(file.Name()) // a file that Atlas is told to leave out has none
	return sum
}

// begin decides what the baseline means for a database without a history.
func (d *database) begin(ctx context.Context, f *folder, baseline string, s *standing) ([]migrate.ExecutorOption, error) {
	file, ok := f.version(baseline)
	if !ok {
		return nil, fmt.Errorf("baseline %s is not among the migrations in %s: %s", baseline, f.Path(), f.known())
	}
	err := d.driver.CheckClean(ctx, d.revisions.Ident())
	if _, ok := errors.AsType[*migrate.NotCleanError](err); !ok {
		return nil, err
	}
	s.adopt, s.current, s.applied = file, baseline, []string{baseline}
	return []migrate.ExecutorOption{migrate.WithBaselineVersion(baseline)}, nil
}

// blankFirst is a driver that does not inspect a database in which nobody has ever made
// anything, which takes Atlas some ten milliseconds.
type blankFirst struct {
	migrate.Driver
	conn *sql.Conn
}

// CheckClean holds that there are no tables and the like but for the history. The server
// numbers what is its own below 16384 (https://www.postgresql.org/docs/current/system-catalog-initial-data.html).
func (b blankFirst) CheckClean(ctx context.Context, history *migrate.TableIdent) error {
	var blank bool
	err := b.conn.QueryRowContext(ctx, `
		select not exists (select from pg_catalog.pg_namespace where oid >= 16384) and not exists (select from pg_catalog.pg_class where oid >= 16384)
		   and not exists (select from pg_catalog.pg_type where oid >= 16384) and not exists (select from pg_catalog.pg_proc where oid >= 16384)`).Scan(&blank)
	if err != nil || blank {
		return err
	}
	return b.Driver.CheckClean(ctx, history)
}

// looking is a history to which nothing is written.
type looking struct{ *revisions }

func (looking) WriteRevision(context.Context, *migrate.Revision) error { return nil }

// pendingError explains why Atlas cannot say what is to be done.
func pendingError(f *folder, err error) error {
	if unordered, ok := errors.AsType[*migrate.HistoryNonLinearError](err); ok {
		return task.Hint(fmt.Errorf("%s was added behind versions that are applied already", f.names(unordered.OutOfOrder)),
			"give it a version after the last one applied, and write atlas.sum anew")
	}
	if _, ok := errors.AsType[*migrate.NotCleanError](err); ok {
		return task.Hint(errors.New("the database has tables but no history of migrations"),
			"name the version whose tables these are as baseline; the versions known are "+f.known())
	}
	return fmt.Errorf("find the pending migrations: %w", err)
}
