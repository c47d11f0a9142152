package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A relation is a table as one of the two databases has it.
type relation struct {
	quoted   string // the table's name as SQL, with its schema
	name     string
	columns  []string // without generated ones, in the table's order
	types    []string // of the columns
	defaults []string // of the columns, as SQL, "" is null
	always   bool     // a column is GENERATED ALWAYS AS IDENTITY
	key      []string // columns of a unique key that is never null and not generated, none if there is no such key
	rivals   bool     // it has more unique values than one key: rows of different keys can be in each other's way
	pages    int64    // of 8 kB, by the size of its file
}

// String returns the table's name as SQL, with its schema.
func (r relation) String() string { return r.quoted }

// column returns a column's type and default, and whether it is there.
func (r relation) column(name string) (kind, value string, ok bool) {
	i := slices.Index(r.columns, name)
	if i < 0 {
		return "", "", false
	}
	return r.types[i], r.defaults[i], true
}

// history is the schema in which schema/apply records what it has applied. That
// is true of one database alone: replayed, it would have the other one take a
// migration for applied whose tables it does not have.
const history = "atlas_schema_revisions"

// relations lists the tables of a database, by schema and name, but for the
// history of its schema.
func relations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	rows, err := conn.Query(ctx, `
		select format('%I.%I', n.nspname, c.relname), c.relname::text, pg_relation_size(c.oid) / 8192,
		       coalesce(col.names, '{}'), coalesce(col.types, '{}'), coalesce(col.defaults, '{}'), coalesce(col.always, false),
		       (select count(*) > 1 from pg_index i where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)),
		       coalesce((
		         select array(select a.attname::text
		                        from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) with ordinality k(attnum, place)
		                        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum order by k.place)
		           from pg_index i
		          where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
		            and i.indpred is null and i.indexprs is null
		            and not exists (select from pg_attribute a
		                             where a.attrelid = c.oid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])
		                               and (not a.attnotnull or a.attgenerated <> ''))
		          order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1), '{}')
		  from pg_class c
		  join pg_namespace n on n.oid = c.relnamespace
		  left join lateral (
		    select array_agg(a.attname::text order by a.attnum) as names,
		           array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
		           array_agg(coalesce(pg_get_expr(d.adbin, d.adrelid), '') order by a.attnum) as defaults,
		           bool_or(a.attidentity = 'a') as always
		      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') col on true
		 where c.relkind = 'r' and `+ordinary+` and n.nspname <> '`+history+`'
		 order by n.nspname collate "C", c.relname collate "C"`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		err = row.Scan(&r.quoted, &r.name, &r.pages, &r.columns, &r.types, &r.defaults, &r.always, &r.rivals, &r.key)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	return list, nil
}

// parentsFirst orders the tables so that one comes behind those that it refers
// to. Where tables refer to each other in a circle, one of them is first.
func parentsFirst(ctx context.Context, conn *pgx.Conn, tables []relation) ([]relation, error) {
	rows, err := conn.Query(ctx, `
		select format('%I.%I', n.nspname, c.relname), format('%I.%I', m.nspname, d.relname)
		  from pg_constraint f
		  join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
		  join pg_class d on d.oid = f.confrelid join pg_namespace m on m.oid = d.relnamespace
		 where f.contype = 'f' and f.conrelid <> f.confrelid order by 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("read the foreign keys: %w", err)
	}
	parents := map[string][]string{}
	var child, parent string
	if _, err := pgx.ForEachRow(rows, []any{&child, &parent}, func() error {
		parents[child] = append(parents[child], parent)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the foreign keys: %w", err)
	}
	byName := map[string]relation{}
	for _, t := range tables {
		byName[t.quoted] = t
	}
	var ordered []relation
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, parent := range parents[name] {
			visit(parent)
		}
		if t, ok := byName[name]; ok {
			ordered = append(ordered, t)
		}
	}
	for _, t := range tables {
		visit(t.quoted)
	}
	return ordered, nil
}

// A trigger is one that is called for each row before an update.
type trigger struct {
	table, language, function, source string
	arguments                         string // each ended by a newline
}

// touched returns, by table, the columns that a trigger sets before an update.
// It reads the source of functions in PL/pgSQL, and knows the functions of the
// contributed modules that set the column which their first argument names.
func touched(ctx context.Context, conn *pgx.Conn) (map[string][]string, error) {
	rows, err := conn.Query(ctx, `
		select format('%I.%I', n.nspname, c.relname), l.lanname::text, p.proname::text, p.prosrc,
		       replace(encode(t.tgargs, 'escape'), '\000', chr(10))
		  from pg_trigger t
		  join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
		  join pg_proc p on p.oid = t.tgfoid join pg_language l on l.oid = p.prolang
		 where not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 19 = 19
		 order by 1, t.tgname`)
	if err != nil {
		return nil, fmt.Errorf("read the triggers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t trigger, err error) {
		err = row.Scan(&t.table, &t.language, &t.function, &t.source, &t.arguments)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the triggers: %w", err)
	}
	columns := map[string][]string{}
	for _, t := range list {
		columns[t.table] = append(columns[t.table], t.sets()...)
	}
	return columns, nil
}

// assignment finds NEW.column := value where a statement can begin: a comparison
// elsewhere looks the same.
var assignment = pattern.Lazy(`(?is)(?:^|;|\b(?:begin|then|else|loop)\b)\s*new\s*\.\s*("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)\s*:?=`)

// comments are taken out of a function's source.
var comments = pattern.Lazy(`(?s)--[^\n]*|/\*.*?\*/`)

func (t trigger) sets() (columns []string) {
	switch {
	case t.language == "plpgsql":
		for _, found := range assignment().FindAllStringSubmatch(comments().ReplaceAllString(t.source, " "), -1) {
			columns = append(columns, unquoted(found[1]))
		}
	case t.function == "moddatetime" || strings.HasPrefix(t.function, "tsvector_update_trigger"):
		first, _, _ := strings.Cut(t.arguments, "\n")
		columns = append(columns, first)
	}
	return columns
}

// unquoted is a name as the server stores it.
func unquoted(name string) string {
	if !strings.HasPrefix(name, `"`) {
		return strings.ToLower(name)
	}
	return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
}
