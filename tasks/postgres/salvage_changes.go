package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// An operation is what was done to a row.
type operation string

// The operations.
const (
	insertRow operation = "insert" // new holds the row
	updateRow operation = "update" // old holds what it was, new the columns that changed
	deleteRow operation = "delete" // old holds the row
	clashRow  operation = "both"   // new holds the replaced database's row; the live one's was written after the swap
	countRow  operation = "count"  // of a table without a key: new holds the row, that was there "was" times and then "count" times
	holdRow   operation = "held"   // of what was dropped: new holds it
	unsureRow operation = "unsure" // only the live database has it: it has inserted it, or updated what was deleted before the swap
)

// changes finds what was written to a table and hands it to the files. It tells
// whether the live database may have written to the table since the swap.
func (s *salvaging) changes(ctx context.Context, p pair, found *SalvagedTable) (own bool, err error) {
	suspects, err := s.suspects(ctx, p)
	if err != nil {
		return false, err
	}
	found.Method = suspects.method
	if suspects.none() {
		return suspects.own, nil
	}
	identity := indexes(p.columns, p.identity())
	queries := [2]string{rowQuery(p, s.since, &suspects), rowQuery(p, s.after, &suspects)}
	judge := &judging{pair: p, count: indexes(p.columns, p.counted()), after: s.after != "false", found: found}
	return suspects.own, mergeRows(ctx, [2]*pgx.Conn{s.kept, s.live}, queries, identity, func(kept, live *row) error {
		c, ok := judge.change(kept, live)
		if !ok {
			return nil
		}
		return s.files.write(c)
	})
}

// A rowChange is a change to one row, with its values as COPY escapes them.
type rowChange struct {
	pair       *pair
	op         operation
	old, new   [][]byte // by the pair's columns; nil is left out
	was, count int64    // of a table without a key
}

// judging tells what two rows, of the replaced and of the live database, mean.
type judging struct {
	pair  pair
	count []int // columns in which a difference is a write
	after bool  // the live database's own writes are known
	found *SalvagedTable
}

func (j *judging) change(kept, live *row) (rowChange, bool) {
	if len(j.pair.key) == 0 {
		return j.multiset(kept, live)
	}
	c := rowChange{pair: &j.pair}
	switch {
	case live == nil && j.after && kept.marked == 0:
		return c, false // as old as the copy, so the live database has deleted it since
	case live == nil:
		c.op, c.new = insertRow, kept.fields
		j.found.Inserted++
	case kept == nil && live.marked > 0:
		return c, false // the live database has inserted it since, or see unsure
	case kept == nil:
		c.op, c.old = deleteRow, live.fields
		j.found.Deleted++
	case !j.differ(kept, live):
		return c, false
	case live.marked > 0 && kept.marked == 0:
		return c, false // only the live database has changed it
	case live.marked > 0:
		c.op, c.new = clashRow, kept.fields
		j.found.Both++
	default:
		c.op, c.old, c.new = updateRow, live.fields, changedFields(kept, live)
		j.found.Updated++
	}
	return c, true
}

func (j *judging) differ(kept, live *row) bool {
	for _, i := range j.count {
		if !bytes.Equal(kept.fields[i], live.fields[i]) {
			return true
		}
	}
	return false
}

func changedFields(kept, live *row) [][]byte {
	changed := make([][]byte, len(kept.fields))
	for i := range kept.fields {
		if !bytes.Equal(kept.fields[i], live.fields[i]) {
			changed[i] = kept.fields[i]
		}
	}
	return changed
}

// multiset compares how often a row is there. Rows of the live database's own
// are to stay, beside those of the replaced one.
func (j *judging) multiset(kept, live *row) (rowChange, bool) {
	c := rowChange{pair: &j.pair, op: countRow}
	var own int64
	if live != nil {
		c.new, c.was, own = live.fields, live.count, live.marked
	}
	c.count = own
	if kept != nil {
		c.new, c.count = kept.fields, kept.count+own
	}
	switch {
	case c.count == c.was:
		return c, false
	case c.count < c.was:
		j.found.Deleted += c.was - c.count
	case j.after && kept.marked == 0:
		return c, false // none of them is new, so the live database has deleted some
	default:
		j.found.Inserted += c.count - c.was
	}
	return c, true
}

// indexes returns the places of some columns among all.
func indexes(all, some []string) []int {
	places := make([]int, len(some))
	for i, c := range some {
		places[i] = slices.Index(all, c)
	}
	return places
}
