package schema

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/task"
)

// SQLSTATEs, as in https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	undefinedTable     = "42P01"
	lockNotAvailable   = "55P03"
	deadlockDetected   = "40P01"
	queryCanceled      = "57014"
	divisionByZero     = "22012"
	noPrivilege        = "42501"
	activeTransaction  = "25001" // the statement must not be in a transaction
	invalidTermination = "2D000" // code ends a transaction where it may not
	unsafeNewEnumValue = "55P04"
	objectInUse        = "55006"
	dependentObjects   = "2BP01"
	notSupported       = "0A000" // such as another type for a column of a view
)

// A failure is a migration that the server refused: what is said of it is ours,
// what the server said in full is only wrapped, since its details quote rows.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// code returns the SQLSTATE of err, or "".
func code(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code
	}
	return ""
}

// failed explains why a file could not be applied.
func (f *folder) failed(ctx context.Context, file migrate.File, err error) error {
	path := filepath.Join(f.Path(), file.Name())
	stmt, inStatement := errors.AsType[*migrate.StmtExecError](err)
	if ctx.Err() != nil {
		if inStatement {
			path = f.place(file, stmt.Stmt, 0)
		}
		return fmt.Errorf("apply %s: %w", path, context.Cause(ctx))
	}
	if changed, ok := errors.AsType[*migrate.HistoryChangedError](err); ok {
		return fmt.Errorf("apply %s: its statement %d was changed after it had been applied", path, changed.Stmt)
	}
	if !inStatement {
		return fmt.Errorf("apply %s: %w", path, err)
	}
	server, ok := errors.AsType[*pgconn.PgError](stmt.Err)
	if !ok {
		return fmt.Errorf("apply %s: %w", f.place(file, stmt.Stmt, 0), stmt.Err)
	}
	text := fmt.Sprintf("apply %s: %s (SQLSTATE %s) in: %s",
		f.place(file, stmt.Stmt, int(server.Position)), message(server), server.Code, abridged(stmt.Stmt.Text))
	return task.Hint(&failure{text, server}, hint(server))
}

// quotedValue is the value that the server could not read, at the end of its
// message. It came from a row and may be a person's.
var quotedValue = pattern.Lazy(`: "(?s:.*)"$`)

// message is what the server said, without its detail and without values.
func message(server *pgconn.PgError) string {
	if strings.HasPrefix(server.Code, "22") { // data exceptions
		return quotedValue().ReplaceAllString(server.Message, ": a value")
	}
	return server.Message
}

// abridged is a statement on one line, cut at 160 characters.
func abridged(sql string) string {
	line := []rune(strings.TrimSuffix(strings.Join(strings.Fields(sql), " "), ";"))
	if len(line) > 160 {
		return string(line[:159]) + "…"
	}
	return string(line)
}

func hint(server *pgconn.PgError) string {
	switch server.Code {
	case lockNotAvailable, deadlockDetected:
		return "end that session, select pg_terminate_backend(PID), or wait until it has ended, then go on with the run"
	case queryCanceled:
		return "raise statement_timeout for this step, if schema/rehearse shows that it really needs longer"
	case noPrivilege:
		return "connect as the owner of the object, or as a member of the role that owns it"
	case activeTransaction:
		return "put the statement into a migration of its own whose first line is -- atlas:txmode none, with an empty line behind it"
	case unsafeNewEnumValue:
		return "put the statement that uses the new value into a later migration than the one that adds it"
	}
	if objects := dependents(server); objects != "" {
		return "in the migration, drop or change first, by name, what depends on it: " + objects + "; make it again behind"
	}
	if server.Hint != "" {
		return strings.TrimSuffix(server.Hint, ".")
	}
	return "correct the migration, write atlas.sum anew, and rehearse it with schema/rehearse"
}

// dependents lists what stands in the way of a statement because it depends on what
// the statement takes away or changes. The server's own advice is CASCADE, by which
// unnamed things would go.
func dependents(server *pgconn.PgError) string {
	alters := server.Code == notSupported && strings.Contains(server.Detail, " depends on ")
	if server.Code != dependentObjects && !alters || server.Detail == "" {
		return ""
	}
	return some(strings.Split(strings.TrimSpace(server.Detail), "\n"))
}

// names lists files, for errors.
func (f *folder) names(files []migrate.File) string {
	paths := make([]string, len(files))
	for i, file := range files {
		paths[i] = filepath.Join(f.Path(), file.Name())
	}
	return strings.Join(paths, ", ")
}
