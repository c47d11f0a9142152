package pg

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Table is what was found in a table at one moment.
type Table struct {
	Schema  string   `json:"schema"`
	Name    string   `json:"name"`
	Columns []string `json:"columns"`        // in the order of a dump's COPY: generated and dropped ones are left out
	Rows    int64    `json:"rows"`           // number of rows
	Hash    string   `json:"hash,omitempty"` // see [RowSum]; "" if the rows were only counted
	Bytes   int64    `json:"bytes"`          // on the server's disk, without indexes

	filter string // WHERE clause of an extension's configuration table
}

// String returns the table's quoted name.
func (t Table) String() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }

// Partial tells whether a dump takes only the rows that an extension says are its
// user's.
func (t Table) Partial() bool { return t.filter != "" }

// Compare orders tables by schema and name, byte by byte.
func (t Table) Compare(other Table) int {
	return cmp.Or(strings.Compare(t.Schema, other.Schema), strings.Compare(t.Name, other.Name))
}

// Contents returns every table of the database that conn is connected to, with
// the number of its rows and the hash of its content, all from one snapshot. It
// reads the whole database once, in constant memory. The connection may not be
// in a transaction.
func Contents(ctx context.Context, conn *pgx.Conn) ([]Table, error) {
	if err := beginRead(ctx, conn, "", patience); err != nil {
		return nil, err
	}
	defer endRead(ctx, conn)
	tables, err := Tables(ctx, conn)
	if err != nil {
		return nil, err
	}
	for i := range tables {
		if err := Sum(ctx, conn, &tables[i]); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// Tables lists the tables whose rows pg_dump would put into an archive, by
// schema and name: ordinary tables and partitions, and of the extensions' only
// those that hold configuration. It waits for a table that a schema change holds.
func Tables(ctx context.Context, conn *pgx.Conn) ([]Table, error) {
	rows, err := conn.Query(ctx, `
		select n.nspname, c.relname, coalesce(pg_table_size(c.oid), 0),
		       array(select a.attname::text from pg_attribute a
		              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
		              order by a.attnum),
		       coalesce(config.condition, '')
		  from pg_class c
		  join pg_namespace n on n.oid = c.relnamespace
		  left join (select unnest(extconfig) as oid, unnest(extcondition) as condition from pg_extension) config
		         on config.oid = c.oid
		 where c.relkind = 'r' and c.relpersistence <> 't'
		   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
		   and (config.oid is not null or not exists (
		         select from pg_depend d
		          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'))
		 order by n.nspname collate "C", c.relname collate "C"`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Table, err error) {
		err = row.Scan(&t.Schema, &t.Name, &t.Bytes, &t.Columns, &t.filter)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	return tables, nil
}

// Sum reads the table in conn's transaction and fills in Rows and Hash.
func Sum(ctx context.Context, conn *pgx.Conn, t *Table) error {
	var sum RowSum
	if _, err := conn.PgConn().CopyTo(ctx, &sum, t.copyOut()); err != nil {
		return fmt.Errorf("read table %s: %w", t, err)
	}
	t.Rows, t.Hash = sum.Rows(), sum.Hash()
	return nil
}

// Count fills in Rows alone, which takes a tenth of the time of Sum.
func Count(ctx context.Context, conn *pgx.Conn, t *Table) error {
	query := fmt.Sprintf("select count(*) from only %s %s", t, t.filter)
	if err := conn.QueryRow(ctx, query).Scan(&t.Rows); err != nil {
		return fmt.Errorf("count the rows of %s: %w", t, err)
	}
	return nil
}

// copyOut is the statement with which pg_dump reads the table.
func (t *Table) copyOut() string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = pgx.Identifier{c}.Sanitize()
	}
	list := strings.Join(columns, ", ")
	if t.filter != "" {
		return fmt.Sprintf("copy (select %s from only %s %s) to stdout", list, t, t.filter)
	}
	if list != "" {
		list = " (" + list + ")"
	}
	return fmt.Sprintf("copy %s%s to stdout", t, list)
}

// Differences compares two readings of a database and returns a sentence for
// each table in which they differ, none if they are equal. Hashes are compared
// where both readings have them.
func Differences(want, got []Table) []string {
	var differences []string
	found := map[string]Table{}
	for _, t := range got {
		found[t.String()] = t
	}
	for _, w := range want {
		g, ok := found[w.String()]
		delete(found, w.String())
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("table %s is missing", w))
		case !slices.Equal(w.Columns, g.Columns):
			differences = append(differences, fmt.Sprintf("table %s has the columns %s, not %s",
				w, strings.Join(g.Columns, ", "), strings.Join(w.Columns, ", ")))
		case w.Rows != g.Rows:
			differences = append(differences, fmt.Sprintf("table %s has %d rows, not %d", w, g.Rows, w.Rows))
		case w.Hash != g.Hash && w.Hash != "" && g.Hash != "":
			differences = append(differences, fmt.Sprintf("table %s has the right number of rows, %d, but other content", w, w.Rows))
		}
	}
	for _, t := range got {
		if _, extra := found[t.String()]; extra {
			differences = append(differences, fmt.Sprintf("table %s should not be there", t))
		}
	}
	return differences
}
