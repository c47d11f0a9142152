package schema

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ariga.io/atlas/sql/migrate"
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
	begin := time.Now()
	err := run()
	done.since(begin)
	if err == nil {
		err = o.look(ctx, &done)
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

// look finds the locks that the statement was the first to take, and what it
// wrote anew. Outside a transaction its locks are gone by then.
func (o *observer) look(ctx context.Context, done *statementReport) error {
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
	if !o.transactional {
		return nil
	}
	locks, err := o.locks(ctx)
	if err != nil {
		return err
	}
	for _, lock := range locks {
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

// locks returns the session's locks on relations that were there before the
// file, the strongest of each.
func (o *observer) locks(ctx context.Context) ([]lockReport, error) {
	rows, err := o.database.conn.QueryContext(ctx, `
		select relation::bigint, mode from pg_locks
		 where pid = pg_backend_pid() and locktype = 'relation' and granted
		   and database = (select oid from pg_database where datname = current_database())
		 order by relation`)
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
		lock := lockReport{Table: o.before[i].name, Mode: mode}
		if last := len(list) - 1; last >= 0 && list[last].Table == lock.Table {
			if strength(mode) > strength(list[last].Mode) {
				list[last] = lock
			}
			continue
		}
		list = append(list, lock)
	}
	return list, rows.Err()
}
