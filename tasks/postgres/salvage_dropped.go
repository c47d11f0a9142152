package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// dropped writes what only the replaced database has room for: the named columns
// of a table's rows, with those that tell the rows apart. Rows in which all of
// these columns have what they have by default are left out, unless there is
// nothing else, as in a table that is new altogether.
func (s *salvaging) dropped(ctx context.Context, r relation, identity, columns []string) (rows int64, err error) {
	all := slices.Concat(identity, columns)
	where := ""
	if identity != nil {
		where = "where " + notDefault(r, columns)
	}
	fields := "0, 0, 1"
	if len(all) > 0 {
		fields += ", " + names(all)
	}
	query := fmt.Sprintf("copy (select %s from only %s %s) to stdout", fields, r.quoted, where)
	reader, end := copyRows(ctx, s.kept, query)
	defer end()
	p := &pair{kept: r, columns: all}
	for {
		if err := reader.next(); err != nil {
			return rows, fmt.Errorf("read what was dropped of table %s: %w", r, err)
		}
		if reader.done {
			return rows, nil
		}
		c := rowChange{pair: p, op: holdRow, new: reader.now.fields}
		s.files.scratch = c.appendJSON(s.files.scratch[:0])
		if err := s.files.dropped.write(s.files.scratch); err != nil {
			return rows, err
		}
		rows++
	}
}

// constant is a default that is the same for every row. Others, such as
// nextval(), are not called.
var constant = pattern.Lazy(`^(?:'(?:[^']|'')*'|-?[0-9.]+|true|false)(?:::[\w ."\[\](),]+)?$`)

// notDefault is the condition that one of the columns has another value than it
// would have by default.
func notDefault(r relation, columns []string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		_, value, _ := r.column(c)
		if !constant().MatchString(value) {
			value = "null"
		}
		list[i] = fmt.Sprintf("%s::text is distinct from (%s)::text", quote(c), value)
	}
	return strings.Join(list, " or ")
}
