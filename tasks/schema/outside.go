package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/task"
)

// outsideOnce runs what is left of a migration that is not one transaction.
// Each of its statements is one, together with the record of it, where the
// server lets it be: after a kill, the next call goes on with the right one.
func (a *applier) outsideOnce(ctx context.Context, file migrate.File) error {
	if err := a.prepare(ctx, ""); err != nil {
		return err
	}
	if err := a.watchFile(ctx, file, false); err != nil {
		return err
	}
	if err := a.resume(ctx, file); err != nil {
		return err
	}
	err := a.execute(ctx, file, patientRevisions{a.database.revisions, a, file.Name()}, a.outside)
	if err == nil && inTransaction(a.database.conn) {
		err = task.Hint(errors.New("it leaves a transaction open"), "end it with commit")
	}
	if inTransaction(a.database.conn) {
		a.rollback(ctx)
	}
	a.database.revisions.commits = false
	return err
}

// setting is a statement that only changes the session.
var setting = pattern.Lazy(`(?i)^(set|reset)\s+(?:session\s+)?(\w+)`)

// resume puts the session into the state in which an earlier call left it: what
// the migration has set holds for the statements that are left. It decides
// whether the first of them may have been run already.
func (a *applier) resume(ctx context.Context, file migrate.File) error {
	a.doubt = false
	revision, err := a.database.revisions.ReadRevision(ctx, file.Version())
	if errors.Is(err, migrate.ErrRevisionNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stmts, err := statements(file)
	if err != nil {
		return err
	}
	for _, stmt := range stmts[:min(revision.Applied, len(stmts))] {
		match := setting().FindStringSubmatch(line(stmt.Text))
		if match == nil || strings.EqualFold(match[2], "local") || strings.EqualFold(match[2], "transaction") {
			continue
		}
		if err := a.inside(ctx, stmt.Text); err != nil {
			return fmt.Errorf("set the session as before: %w", err)
		}
	}
	a.doubt = revision.Error == ""
	return nil
}

// alone are the statements that PostgreSQL refuses in a transaction, and those
// that end one.
var alone = pattern.Lazy(`(?i)^(?:` +
	`(?:create|drop) (?:database|tablespace|subscription)|alter (?:system|database|subscription)|` +
	`vacuum|cluster|reindex|discard|checkpoint|` +
	`begin|start transaction|commit|end|abort|rollback|savepoint|release|prepare transaction)\b`)

// maybeAlone are those whose code may end a transaction and begin the next.
var maybeAlone = pattern.Lazy(`(?i)^(?:call|do)\b`)

// outside runs a statement of a migration that is not one transaction.
func (a *applier) outside(ctx context.Context, text string) error {
	doubt := a.doubt
	a.doubt = false
	line := line(text)
	if worksConcurrently(line) {
		return a.concurrently(ctx, text, line, doubt)
	}
	if alone().MatchString(line) || inTransaction(a.database.conn) {
		return a.inside(ctx, text)
	}
	if err := a.inside(ctx, "begin"); err != nil {
		return err
	}
	if err := a.inside(ctx, text); err != nil {
		a.rollback(ctx)
		if code(err) == invalidTermination && maybeAlone().MatchString(line) {
			return a.inside(ctx, text) // nothing of it is there: the server has refused its first commit
		}
		return err
	}
	a.database.revisions.commits = true
	return nil
}

// patientRevisions are the history of a migration that is not one transaction.
type patientRevisions struct {
	*revisions
	applier *applier
	name    string // of the file
}

// WriteRevision waits for its lock by itself where the statement is done and
// committed: it must not be run again for its record's sake.
func (p patientRevisions) WriteRevision(ctx context.Context, revision *migrate.Revision) error {
	if inTransaction(p.conn) {
		return p.revisions.WriteRevision(ctx, revision)
	}
	return p.applier.patiently(ctx, p.name, func() error {
		if err := p.revisions.WriteRevision(ctx, revision); err != nil {
			return hinted(fmt.Errorf("record what is done: %w", err))
		}
		return nil
	})
}

// inTransaction tells whether the session is in one.
func inTransaction(conn *sql.Conn) (in bool) {
	_ = conn.Raw(func(driver any) error {
		in = driver.(*stdlib.Conn).Conn().PgConn().TxStatus() != 'I'
		return nil
	})
	return in
}

// named holds that every index that is made concurrently has a name: a failure
// leaves an invalid index, which otherwise could not be found again.
func (f *folder) named(file migrate.File) error {
	stmts, err := statements(file)
	if err != nil {
		return fmt.Errorf("read the statements of %s: %w", filepath.Join(f.Path(), file.Name()), err)
	}
	for _, stmt := range stmts {
		line := line(stmt.Text)
		if makesIndex().MatchString(line) && !newIndex().MatchString(line) {
			return task.Hint(fmt.Errorf("%s: an index without a name is made concurrently", f.place(file, stmt, 0)),
				"name it: a failure leaves an invalid index, which is found by its name and made again")
		}
	}
	return nil
}
