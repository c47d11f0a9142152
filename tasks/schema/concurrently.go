package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// concurrently is a statement that waits for other transactions and keeps
// nobody waiting meanwhile. Ended by a timeout it would leave an invalid index
// behind: https://www.postgresql.org/docs/current/sql-createindex.html.
var concurrently = regexp.MustCompile(`(?i)^(create|drop|reindex|alter|refresh)\b.*\bconcurrently\b`)

// newIndex finds the index and the table of a statement that makes one.
var newIndex = regexp.MustCompile(
	`(?i)^create (?:unique )?index concurrently (?:if not exists )?("(?:[^"]|"")+"|[^\s."]+) on (?:only )?((?:"(?:[^"]|"")+"|[^\s(])+)`)

// outside runs a statement in no transaction but its own.
func (a *applier) outside(ctx context.Context, text string) error {
	line := strings.Join(strings.Fields(text), " ")
	if !concurrently.MatchString(line) {
		return a.inside(ctx, text)
	}
	if err := a.inside(ctx, "set lock_timeout = 0; set statement_timeout = 0"); err != nil {
		return err
	}
	if match := newIndex.FindStringSubmatch(line); match != nil {
		if err := a.dropInvalid(ctx, match[1], match[2]); err != nil {
			return err
		}
	}
	if err := a.inside(ctx, text); err != nil {
		return err
	}
	return a.prepare(ctx)
}

// dropInvalid takes away what an earlier, unfinished call has left of an index:
// it is not used, but it is kept up, and "if not exists" would take it for done.
func (a *applier) dropInvalid(ctx context.Context, index, table string) error {
	var schema, name string
	err := a.database.conn.QueryRowContext(ctx, `
		select n.nspname, i.relname
		  from pg_class t
		  join pg_class i on i.relnamespace = t.relnamespace and i.relname = (parse_ident($1))[1]
		  join pg_index x on x.indexrelid = i.oid and x.indrelid = t.oid and not x.indisvalid
		  join pg_namespace n on n.oid = i.relnamespace
		 where t.oid = to_regclass($2)`, index, table).Scan(&schema, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an invalid index: %w", err)
	}
	a.log.Info("an invalid index of an earlier try is dropped", "index", name)
	return a.inside(ctx, "drop index concurrently "+pgx.Identifier{schema, name}.Sanitize())
}
