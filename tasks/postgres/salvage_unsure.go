package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mostSought is how many keys are looked for in the replaced database at once.
const mostSought = 1000

// unsure writes down the keys of the rows that only the live database has and has
// written since the swap. It has inserted them, or they were deleted before the
// swap and updated after it: a row's transaction says when it was written last,
// and not whether it was there before.
func (s *salvaging) unsure(ctx context.Context, p pair) (rows int64, err error) {
	if s.after == "false" || len(p.key) == 0 {
		return 0, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("look for the live database's own rows of table %s: %w", p.live, err)
		}
	}()
	reader, end := copyRows(ctx, s.live, fmt.Sprintf("copy (select 0, 1, 1, %s from only %s where %s) to stdout", names(p.key), p.live, s.after))
	defer end()
	keys := &pair{kept: p.live, columns: p.key, key: p.key}
	for {
		batch, err := someRows(reader, mostSought)
		if err != nil || len(batch) == 0 {
			return rows, err
		}
		missing, err := s.missing(ctx, p, batch)
		if err != nil {
			return rows, err
		}
		for _, i := range missing {
			c := rowChange{pair: keys, op: unsureRow, new: batch[i]}
			s.files.scratch = c.appendJSON(s.files.scratch[:0])
			if err := s.files.unsure.write(s.files.scratch); err != nil {
				return rows, err
			}
			rows++
		}
	}
}

// someRows reads the next rows of a COPY, so many at most.
func someRows(from *rowReader, most int) (list [][][]byte, err error) {
	for len(list) < most {
		if err := from.next(); err != nil || from.done {
			return list, err
		}
		fields := make([][]byte, len(from.now.fields))
		for i, field := range from.now.fields {
			fields[i] = append([]byte{}, field...)
		}
		list = append(list, fields)
	}
	return list, nil
}

// missing returns the places of those keys that no row of the replaced database
// has.
func (s *salvaging) missing(ctx context.Context, p pair, keys [][][]byte) ([]int64, error) {
	var values []any
	var lists, columns, same []string
	for i, c := range p.key {
		list := make([]string, len(keys))
		for n, key := range keys {
			list[n] = unescape(key[i])
		}
		values = append(values, list)
		lists = append(lists, fmt.Sprintf("$%d::text[]", i+1))
		columns = append(columns, fmt.Sprintf("k%d", i))
		same = append(same, p.sameKey(c, columns[i]))
	}
	rows, err := s.kept.Query(ctx, fmt.Sprintf(
		"select n - 1 from unnest(%s) with ordinality v(%s, n) where not exists (select from only %s t where %s) order by 1",
		list(lists), list(columns), p.kept, strings.Join(same, " and ")), values...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// sameKey is the condition that a column of the key has the value of which v has
// the text. As text no index serves, but it fits whatever the two types are.
func (p pair) sameKey(column, value string) string {
	kept, _, _ := p.kept.column(column)
	live, _, _ := p.live.column(column)
	if kept != live {
		return fmt.Sprintf("t.%s::text = v.%s", quote(column), value)
	}
	return fmt.Sprintf("t.%s = v.%s::%s", quote(column), value, kept)
}
