package schema

import (
	"context"
	"errors"

	"ariga.io/atlas/sql/migrate"
)

// revert takes versions back, in the order of files, all in one transaction with
// the end of their records. What the reverse migrations take away with its rows
// is written to files before, by keep, if that is not nil; seal is called when
// that is done and nothing is committed yet.
func (a *applier) revert(ctx context.Context, files []migrate.File, keep *keeper, seal func() error) error {
	descend := func() error {
		if keep != nil {
			if err := keep.vanishing(ctx, func() error { return a.descend(ctx, files) }); err != nil {
				return err
			}
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
// sets in the session does not reach the next.
func (a *applier) descend(ctx context.Context, files []migrate.File) error {
	for _, file := range files {
		if err := a.prepare(ctx, ""); err != nil {
			return err
		}
		stmts, err := statements(file)
		if err != nil {
			return err
		}
		for _, stmt := range stmts {
			if err := a.inside(ctx, stmt.Text); err != nil {
				return &migrate.StmtExecError{File: file, Stmt: stmt, Version: file.Version(), Err: err}
			}
		}
	}
	return a.prepare(ctx, "")
}
