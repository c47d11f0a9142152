package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// A keeper writes what reverse migrations take away, the rows of tables and the
// values of columns that the old schema has no place for, into files: one CSV
// file with a header for each table, readable by the account alone. A column that
// gets another type is one of them. Rows that a reverse changes or deletes by an
// UPDATE or DELETE, in tables and columns that stay, are not kept: what becomes of
// them is for its author to say.
type keeper struct {
	database *database
	parent   string // the directory in which the keeper makes its own
	dir      string // where the files are; "" before there is something to keep
	files    []kept // written so far
	rows     int64  // in all of them
	mode     string // of the lock under which they are written
	whole    bool   // whether all of them were written once, in this try or an earlier one
}

// kept is a file with the rows of one table.
type kept struct {
	Table  string `json:"table"`
	File   string `json:"file"` // its name, beside the list
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// A column of a table, by numbers that no other ever had.
type column struct {
	table, number int64
	kind          string // its type and what limits it, by number
	schema, name  string // of the table
	column        string
	key           bool // whether it is part of the primary key
}

// vanishing finds out what descend takes away, by doing it and taking that back,
// and writes it to files. It is called in a transaction, and keeps writers out of
// the tables concerned until its end: nothing is written between file and end.
// Readers go on until descend shuts them out. That fails where a transaction has
// read such a table meanwhile and waits to write to it: then, in the next try, the
// tables are shut before they are copied.
func (k *keeper) vanishing(ctx context.Context, descend func() error) error {
	k.mode = "share row exclusive"
	if k.whole {
		k.mode = "access exclusive"
	}
	if err := k.forget(); err != nil {
		return err
	}
	if _, err := k.database.conn.ExecContext(ctx, "savepoint look"); err != nil {
		return err
	}
	before, err := k.columns(ctx)
	if err != nil {
		return err
	}
	if err := descend(); err != nil {
		return err
	}
	after, err := k.columns(ctx)
	if err != nil {
		return err
	}
	if _, err := k.database.conn.ExecContext(ctx, "rollback to savepoint look"); err != nil {
		return err
	}
	for len(before) > 0 {
		end := slices.IndexFunc(before, func(c column) bool { return c.table != before[0].table })
		if end < 0 {
			end = len(before)
		}
		if err := k.table(ctx, before[:end], after); err != nil {
			return err
		}
		before = before[end:]
	}
	k.whole = true
	return nil
}

// table keeps those columns of one table that are not there after, or of another
// type, to which not every value may have come as it was.
func (k *keeper) table(ctx context.Context, columns, after []column) error {
	gone := func(c column) bool {
		return !slices.ContainsFunc(after, func(a column) bool { return a.table == c.table && a.number == c.number && a.kind == c.kind })
	}
	var wanted, lost []string
	keyed := slices.ContainsFunc(columns, func(c column) bool { return c.key })
	for _, c := range columns {
		name := pgx.Identifier{c.column}.Sanitize()
		if gone(c) {
			lost = append(lost, name+" is distinct from null")
		}
		if gone(c) || c.key || !keyed {
			wanted = append(wanted, name)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	table := pgx.Identifier{columns[0].schema, columns[0].name}.Sanitize()
	if _, err := k.database.conn.ExecContext(ctx, "lock table "+table+" in "+k.mode+" mode"); err != nil {
		return err
	}
	query := fmt.Sprintf("copy (select %s from only %s where %s) to stdout (format csv, header)",
		strings.Join(wanted, ", "), table, strings.Join(lost, " or "))
	if len(lost) == len(columns) {
		query = fmt.Sprintf("copy (select %s from only %s) to stdout (format csv, header)", strings.Join(wanted, ", "), table)
	}
	name := inFileName(columns[0].schema) + "." + inFileName(columns[0].name) + ".csv"
	return k.write(ctx, table, name, query)
}

// inFileName is an identifier without whatever ends a name in a file's name or in
// a path: two tables never share a file.
func inFileName(identifier string) string {
	return strings.ReplaceAll(url.PathEscape(identifier), ".", "%2E")
}

// directory makes the keeper's own directory. One that is there already is another
// call's, and its files may be the only ones with these rows.
func (k *keeper) directory() error {
	for n := 1; k.dir == ""; n++ {
		dir := filepath.Join(k.parent, "reverted-"+url.PathEscape(k.database.name))
		if n > 1 {
			dir = fmt.Sprintf("%s-%d", dir, n)
		}
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			k.dir = dir
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// forget removes what an earlier try has kept, which changed nothing.
func (k *keeper) forget() error {
	if k.dir != "" {
		if err := os.RemoveAll(k.dir); err != nil {
			return fmt.Errorf("remove what an earlier try has kept: %w", err)
		}
	}
	k.dir, k.files, k.rows = "", nil, 0
	return nil
}

// write copies what the query returns into a file that is on disk when write
// returns, or leaves no file if that is nothing.
func (k *keeper) write(ctx context.Context, table, name, query string) error {
	if err := k.directory(); err != nil {
		return fmt.Errorf("keep the rows that go: %w", err)
	}
	path := filepath.Join(k.dir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the rows that go: %w", err)
	}
	sum := sha256.New()
	rows, err := k.copy(ctx, io.MultiWriter(file, sum), query)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("keep the rows that go in %s: %w", path, err)
	}
	if rows == 0 {
		return os.Remove(path)
	}
	k.files = append(k.files, kept{table, name, rows, hex.EncodeToString(sum.Sum(nil))})
	k.rows += rows
	return nil
}

// copy writes what the query returns as a dump would, whatever the settings of the
// database and of the role are, and has the server refuse where a policy would hide
// rows. The reverse migrations have the session's own settings back afterwards.
func (k *keeper) copy(ctx context.Context, to io.Writer, query string) (rows int64, err error) {
	err = k.database.conn.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		if _, err := conn.Exec(ctx, "savepoint print"); err != nil {
			return err
		}
		if err := pg.PrintAsDump(ctx, conn); err != nil {
			return err
		}
		tag, err := conn.PgConn().CopyTo(ctx, to, query)
		if err != nil {
			return err
		}
		rows = tag.RowsAffected()
		_, err = conn.Exec(ctx, "rollback to savepoint print")
		return err
	})
	if code(err) == noPrivilege {
		err = task.Hint(err, "connect as a role that may read all rows: policies hide none from a superuser or a role with bypassrls")
	}
	return rows, err
}

// list writes the list of the files, and returns its path and its SHA-256, or
// "" if nothing was kept. All of their names are on the disk when it returns.
func (k *keeper) list() (path, sum string, err error) {
	if len(k.files) == 0 {
		return "", "", nil
	}
	path = filepath.Join(k.dir, "kept.json")
	if sum, err = writeJSON(path, k.files); err != nil {
		return "", "", err
	}
	for _, name := range []string{path, k.dir, k.parent} {
		if err := sync(name); err != nil {
			return "", "", err
		}
	}
	return path, sum, nil
}

// sync puts a file's content, or the names in a directory, onto the disk.
func sync(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// columns lists the columns of all tables that hold values of their own.
func (k *keeper) columns(ctx context.Context) ([]column, error) {
	rows, err := k.database.conn.QueryContext(ctx, `
		select c.oid::bigint, a.attnum, format('%s,%s', a.atttypid::bigint, a.atttypmod), n.nspname, c.relname, a.attname,
		       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any(i.indkey))
		  from pg_class c
		  join pg_namespace n on n.oid = c.relnamespace
		  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
		 where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'atlas_schema_revisions')
		 order by c.oid, a.attnum`)
	if err != nil {
		return nil, fmt.Errorf("list the columns: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.table, &c.number, &c.kind, &c.schema, &c.name, &c.column, &c.key); err != nil {
			return nil, fmt.Errorf("list the columns: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}
