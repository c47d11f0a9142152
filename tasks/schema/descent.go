package schema

import (
	"context"
	"errors"
	"fmt"

	"ariga.io/atlas/sql/migrate"
)

// revert takes versions back, in the order of files, all in one transaction with
// the end of their records. What the reverse migrations take away with its rows
// is written to files before, by keep; seal is called when that is done and nothing
// is committed yet.
func (a *applier) revert(ctx context.Context, files []migrate.File, keep *keeper, seal func() error) error {
	descend := func() error {
		if err := keep.vanishing(ctx, func() error { return a.descend(ctx, files) }); err != nil {
			return err
		}
		if err := a.descend(ctx, files); err != nil {
			return err
		}
		for _, file := range files {
			if err := a.database.revisions.DeleteRevision(ctx, file.Version()); err != nil {
				return err
			}
		}
		return seal()
	}
	err := a.patiently(ctx, "the reverse migrations", func() error {
		// Each statement has to see what was committed until then: what a writer wrote
		// for whom it has waited goes with the table. The message that begins the
		// transaction is too late for this: it resets settings first, in the same one.
		if err := a.inside(ctx, "set default_transaction_isolation to 'read committed'"); err != nil {
			return err
		}
		return a.inOne(ctx, descend)
	})
	if err == nil {
		return nil
	}
	file := files[0]
	if stmt, ok := errors.AsType[*migrate.StmtExecError](err); ok {
		file = stmt.File
	}
	if blocked, ok := errors.AsType[*blockedError](err); ok {
		return blocked.with(a.folder.failed(ctx, file, blocked.err))
	}
	return a.folder.failed(ctx, file, err)
}

// descend runs reverse migrations in the transaction that has begun. What one
// sets in the session does not reach the next, nor what it has put off until the
// end of its transaction, which is checked where the file ends.
func (a *applier) descend(ctx context.Context, files []migrate.File) error {
	for _, file := range files {
		if err := a.prepare(ctx, ""); err != nil {
			return err
		}
		if err := a.asDeclared(ctx); err != nil {
			return err
		}
		stmts, err := statements(file)
		if err != nil {
			return err
		}
		for i, stmt := range stmts {
			err := a.inside(ctx, stmt.Text)
			if err == nil && i == len(stmts)-1 {
				err = a.inside(ctx, "set constraints all immediate")
			}
			if err != nil {
				return &migrate.StmtExecError{File: file, Stmt: stmt, Version: file.Version(), Err: err}
			}
		}
	}
	return a.prepare(ctx, "")
}

// asDeclared puts those constraints off again that are put off where a transaction
// begins. SET CONSTRAINTS has no word for that, and takes a name for all of this name
// in a schema.
func (a *applier) asDeclared(ctx context.Context) error {
	var statements string
	err := a.database.conn.QueryRowContext(ctx, `
		select coalesce(string_agg(set, '; '), '') from (
		       select format('set constraints %I.%I deferred', n.nspname, o.conname) as set
		         from pg_constraint o join pg_namespace n on n.oid = o.connamespace
		        group by n.nspname, o.conname having bool_and(o.condeferred)) deferred`).Scan(&statements)
	if err != nil {
		return fmt.Errorf("look at the deferred constraints: %w", err)
	}
	return a.inside(ctx, statements)
}
