package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/sqllint"
	"github.com/medlogistics/phasegate/runner/task"
)

// line is the beginning of a statement as [sqllint.Lines] gives it, enough to tell
// what it is and what it works on.
func line(text string) string {
	const enough = 8 << 10
	lines := sqllint.Lines(text[:min(len(text), enough)])
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// identifier is a name, with its schema or without, quoted or not.
const identifier = `((?:"(?:[^"]|"")+"|[^\s"(;.]+)(?:\.(?:"(?:[^"]|"")+"|[^\s"(;.]+))?)`

var (
	makesIndex = pattern.Lazy(`(?i)^create (?:unique )?index concurrently\b`)
	newIndex   = pattern.Lazy(`(?i)^create (?:unique )?index concurrently (?:if not exists )?("(?:[^"]|"")+"|[^\s."]+) on (?:only )?` + identifier)
	dropsIndex = pattern.Lazy(`(?i)^drop index concurrently\b`)
	oldIndex   = pattern.Lazy(`(?i)^drop index concurrently (?:if exists )?` + identifier)
	reindexes  = pattern.Lazy(`(?i)^reindex (?:(?:\( [^)]* \) )?\w+ concurrently\b|\( (?:[^)]* )?concurrently (?:(?:true|on|1) )?[,)])`)
	reindex    = pattern.Lazy(`(?i)^reindex (?:\( [^)]* \) )?(index|table) (?:concurrently )?` + identifier)
	detach     = pattern.Lazy(`(?i)^alter table (?:if exists )?` + identifier + ` detach partition ` + identifier + ` concurrently\b`)
)

// worksConcurrently tells whether a statement waits for other transactions and
// keeps nobody waiting meanwhile. Ended by a timeout it would leave an invalid
// index behind: https://www.postgresql.org/docs/current/sql-createindex.html.
// Refreshing a view concurrently does not: it locks the view.
func worksConcurrently(line string) bool {
	return slices.ContainsFunc([]func() *regexp.Regexp{makesIndex, dropsIndex, reindexes, detach},
		func(form func() *regexp.Regexp) bool { return form().MatchString(line) })
}

// concurrently runs such a statement without time limits, after having tidied
// up what an earlier try has left. In doubt, one whose work is there is not run
// again.
func (a *applier) concurrently(ctx context.Context, text, line string, doubt bool) error {
	if err := a.database.ownSnapshots(ctx); err != nil {
		return err
	}
	if err := a.inside(ctx, "set lock_timeout = 0; set statement_timeout = 0"); err != nil {
		return err
	}
	done, err := a.tidy(ctx, line, doubt)
	if err != nil {
		return err
	}
	if !done {
		a.log.Info("a statement waits for the transactions that are open", "open longest", a.database.transactions(ctx))
		if err := a.inside(ctx, text); err != nil {
			return err
		}
	}
	return a.inside(ctx, a.timeouts())
}

// tidy takes away, or finishes, what an earlier try has left behind, and tells
// whether the statement's work is done thereby.
func (a *applier) tidy(ctx context.Context, line string, doubt bool) (done bool, err error) {
	if match := newIndex().FindStringSubmatch(line); match != nil {
		return a.tidyIndex(ctx, match[1], match[2], doubt)
	}
	if match := oldIndex().FindStringSubmatch(line); match != nil && doubt {
		err = a.database.conn.QueryRowContext(ctx, "select to_regclass($1) is null", match[1]).Scan(&done)
		return done, err
	}
	if match := reindex().FindStringSubmatch(line); match != nil {
		return false, a.dropCopies(ctx, match[2])
	}
	if match := detach().FindStringSubmatch(line); match != nil {
		return a.finishDetach(ctx, match[1], match[2], doubt)
	}
	return false, nil
}

// tidyIndex takes away what an earlier, unfinished call has left of an index:
// it is not used, but it is kept up, and "if not exists" would take it for done.
func (a *applier) tidyIndex(ctx context.Context, index, table string, doubt bool) (bool, error) {
	var schema, name string
	var valid bool
	err := a.database.conn.QueryRowContext(ctx, `
		select n.nspname, i.relname, x.indisvalid
		  from pg_class t
		  join pg_class i on i.relnamespace = t.relnamespace and i.relname = (parse_ident($1))[1]
		  join pg_index x on x.indexrelid = i.oid and x.indrelid = t.oid
		  join pg_namespace n on n.oid = i.relnamespace
		 where t.oid = to_regclass($2)`, index, table).Scan(&schema, &name, &valid)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an invalid index: %w", err)
	}
	if valid {
		return doubt, nil
	}
	return false, a.dropInvalid(ctx, schema, name)
}

func (a *applier) dropInvalid(ctx context.Context, schema, name string) error {
	a.log.Info("an invalid index of an earlier try is dropped", "index", name)
	return a.inside(ctx, "drop index concurrently "+pgx.Identifier{schema, name}.Sanitize())
}

// dropCopies takes away the invalid copies that an unfinished reindex has left
// of the relation.
func (a *applier) dropCopies(ctx context.Context, relation string) error {
	left, err := a.database.copiesOf(ctx, relation)
	if err != nil {
		return fmt.Errorf("look for copies of indexes: %w", err)
	}
	for _, name := range left {
		if err := a.dropInvalid(ctx, name[0], name[1]); err != nil {
			return err
		}
	}
	return nil
}

// copiesOf returns schema and name of the invalid copies of a table's indexes,
// or an index's table's, by the names that the server gives them.
func (d *database) copiesOf(ctx context.Context, relation string) (copies [][2]string, err error) {
	rows, err := d.conn.QueryContext(ctx, `
		select n.nspname, i.relname
		  from pg_index x
		  join pg_class i on i.oid = x.indexrelid
		  join pg_namespace n on n.oid = i.relnamespace
		 where not x.indisvalid and i.relname ~ '_cc(new|old)[0-9]*$'
		   and x.indrelid = coalesce((select indrelid from pg_index where indexrelid = to_regclass($1)), to_regclass($1))`, relation)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name [2]string
		if err := rows.Scan(&name[0], &name[1]); err != nil {
			return nil, err
		}
		copies = append(copies, name)
	}
	return copies, rows.Err()
}

// finishDetach finishes a detachment that was interrupted, which nothing but
// that is allowed to do.
func (a *applier) finishDetach(ctx context.Context, table, partition string, doubt bool) (bool, error) {
	var pending bool
	err := a.database.conn.QueryRowContext(ctx, `
		select inhdetachpending from pg_inherits where inhparent = to_regclass($1) and inhrelid = to_regclass($2)`,
		table, partition).Scan(&pending)
	if errors.Is(err, sql.ErrNoRows) {
		return doubt, nil
	}
	if err != nil || !pending {
		return false, err
	}
	a.log.Info("an interrupted detachment is finished", "partition", partition)
	return true, a.inside(ctx, "alter table "+table+" detach partition "+partition+" finalize")
}

// ownSnapshots holds that no other session of ours has a snapshot, such as that
// of a backup: the statement would wait for it, and it perhaps for us.
func (d *database) ownSnapshots(ctx context.Context) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		var pid int
		err := d.conn.QueryRowContext(ctx, `
			select pid from pg_stat_activity
			 where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null
			   and application_name = current_setting('application_name') limit 1`).Scan(&pid)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for open snapshots: %w", err)
		}
		if time.Now().After(deadline) {
			return task.Hint(fmt.Errorf("another session of phasegate (pid %d) reads the database in a snapshot, for whose end this would wait", pid),
				"wait until the backup or the verification that it belongs to has ended")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
