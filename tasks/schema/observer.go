package schema

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5/stdlib"
)

// An observer watches the statements of migrations in a copy. Locks and file
// numbers are looked at in the session itself, before its transaction ends:
// https://www.postgresql.org/docs/current/view-pg-locks.html.
type observer struct {
	database *database
	folder   *folder
	report   report

	file          migrate.File
	transactional bool
	before        []relation     // that were there when the file began
	locked        map[string]int // the strongest lock seen by table, as an index into modes
}

// A relation is a table, a partition, a view or a materialized view.
type relation struct {
	oid  int64
	name string
	file int64 // its file's number, which changes when it is written anew; 0 for none
}

// begin takes stock of what is there before the file.
func (o *observer) begin(ctx context.Context, file migrate.File, transactional bool) error {
	o.file, o.transactional, o.locked = file, transactional, map[string]int{}
	var err error
	o.before, err = o.relations(ctx)
	o.report.Migrations = append(o.report.Migrations, migrationReport{Version: file.Version(), Transaction: transactional})
	return err
}

// statement runs one and looks at what it did.
func (o *observer) statement(ctx context.Context, stmt *migrate.Stmt, run func() error) error {
	done := statementReport{Place: o.folder.place(o.file, stmt, 0), SQL: stmt.Text, Locks: []lockReport{}, Rewritten: []string{}}
	var passing []lockReport
	if !o.transactional {
		o.locked = map[string]int{} // those of the statement before are gone
		run = o.sampled(ctx, run, &passing)
	}
	begin := time.Now()
	err := run()
	done.since(begin)
	if err == nil {
		err = o.look(ctx, &done, passing)
	}
	o.current().Statements = append(o.current().Statements, done)
	return err
}

// end finishes the transaction. Deferred constraints are judged here.
func (o *observer) end(_ context.Context, finish func() error) error {
	begin := time.Now()
	err := finish()
	o.current().CommitMS = milliseconds(begin)
	return err
}

func (o *observer) current() *migrationReport {
	return &o.report.Migrations[len(o.report.Migrations)-1]
}

// failed notes why the last statement, or the end of its migration, failed.
func (o *observer) failed(err error) {
	if len(o.report.Migrations) > 0 {
		o.current().Error = err.Error()
	}
}

// sampled looks at the locks from another session while run runs, as often as it
// can: those of a statement that is no transaction with its record, such as one
// that works concurrently, are gone afterwards. One held for less than a
// millisecond may be missed.
func (o *observer) sampled(ctx context.Context, run func() error, seen *[]lockReport) func() error {
	return func() error {
		pool := stdlib.OpenDB(*o.database.config.Copy())
		defer func() { _ = pool.Close() }()
		session, err := pool.Conn(ctx)
		if err != nil {
			return fmt.Errorf("connect once more to the copy: %w", err)
		}
		defer func() { _ = session.Close() }()
		pid := o.database.backend() // asked now: the session is busy then
		over, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for over.Err() == nil {
				locks, err := o.locks(context.WithoutCancel(ctx), session, pid)
				if err != nil {
					return
				}
				*seen = append(*seen, locks...)
			}
		}()
		err = run()
		stop()
		<-ended
		return err
	}
}

// look finds the locks that the statement was the first to take, those seen in
// passing among them, and what it wrote anew.
func (o *observer) look(ctx context.Context, done *statementReport, passing []lockReport) error {
	now, err := o.relations(ctx)
	if err != nil {
		return err
	}
	for i, was := range o.before {
		same := func(r relation) bool { return r.oid == was.oid }
		if j := slices.IndexFunc(now, same); j >= 0 && now[j].file != was.file {
			done.Rewritten = append(done.Rewritten, was.name)
			o.before[i].file = now[j].file
		}
	}
	locks, err := o.locks(ctx, o.database.conn, o.database.backend())
	if err != nil {
		return err
	}
	for _, lock := range strongest(append(passing, locks...)) {
		if strength(lock.Mode) > o.locked[lock.Table] {
			o.locked[lock.Table] = strength(lock.Mode)
			done.Locks = append(done.Locks, lock)
		}
	}
	return nil
}

func (o *observer) relations(ctx context.Context) ([]relation, error) {
	rows, err := o.database.conn.QueryContext(ctx, `
		select c.oid::bigint, format('%I.%I', n.nspname, c.relname), coalesce(pg_relation_filenode(c.oid), 0)::bigint
		  from pg_class c join pg_namespace n on n.oid = c.relnamespace
		 where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname !~ '^pg_'
		   and n.nspname not in ('information_schema', 'atlas_schema_revisions')
		 order by 2`)
	if err != nil {
		return nil, fmt.Errorf("look at the copy's tables: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []relation
	for rows.Next() {
		var r relation
		if err := rows.Scan(&r.oid, &r.name, &r.file); err != nil {
			return nil, fmt.Errorf("look at the copy's tables: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// A querier is a session or several.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// locks returns the locks of a session on relations that were there before the
// file.
func (o *observer) locks(ctx context.Context, from querier, pid uint32) ([]lockReport, error) {
	rows, err := from.QueryContext(ctx, `
		select relation::bigint, mode from pg_locks
		 where pid = $1 and locktype = 'relation' and granted
		   and database = (select oid from pg_database where datname = current_database())
		 order by relation`, int64(pid))
	if err != nil {
		return nil, fmt.Errorf("look at the locks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []lockReport
	for rows.Next() {
		var oid int64
		var mode string
		if err := rows.Scan(&oid, &mode); err != nil {
			return nil, fmt.Errorf("look at the locks: %w", err)
		}
		i := slices.IndexFunc(o.before, func(r relation) bool { return r.oid == oid })
		if i < 0 {
			continue
		}
		list = append(list, lockReport{Table: o.before[i].name, Mode: mode})
	}
	return list, rows.Err()
}

// strongest keeps the strongest lock of each table, by name.
func strongest(locks []lockReport) []lockReport {
	slices.SortFunc(locks, func(a, b lockReport) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strength(b.Mode)-strength(a.Mode))
	})
	return slices.CompactFunc(locks, func(a, b lockReport) bool { return a.Table == b.Table })
}
