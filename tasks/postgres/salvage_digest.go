package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// The rows of a table are dealt into buckets by the hash of their key. Buckets
// that are equal in both databases hold no change: only the others are read row
// by row. Of a bucket only a sum is kept, so that memory does not grow with the
// table.
const (
	fewestBuckets = 1 << 8
	mostBuckets   = 1 << 16

	// mostGroups is how many sums the server makes at once. Each is of several
	// buckets where there are more: a bigger table of them would not stay in the
	// processor's cache, and take three times as long.
	mostGroups = 1 << 12

	// Names that no table's column has.
	hashColumn    = "_phasegate_hash"
	markColumn    = "_phasegate_mark"
	contentColumn = "_phasegate_content"

	// fewPages is the size up to which a table is read row by row at once.
	fewPages = 64

	// manyChanged is the share of possibly changed rows, one in so many, from
	// which comparing all rows is faster than reading those.
	manyChanged = 10
)

// suspects returns the buckets in which the two databases may differ, how many
// there are in all, and how they were found. All of them are returned as nil.
func (s *salvaging) suspects(ctx context.Context, p pair) (list []int64, buckets int64, method string, err error) {
	pages := max(p.kept.pages, p.live.pages)
	if pages <= fewPages {
		return nil, 1, "merge", nil
	}
	for buckets = fewestBuckets; buckets < pages && buckets < mostBuckets; {
		buckets *= 2
	}
	suspect := make([]bool, buckets)
	method, content := "content", p.contentHash(p.counted())
	few, err := s.fewNew(ctx, p)
	if err != nil {
		return nil, 0, "", err
	}
	if few {
		method, content = "xmin", ""
	}
	if err := s.mark(ctx, p, suspect, content); err != nil {
		return nil, 0, "", err
	}
	list = []int64{}
	for i, is := range suspect {
		if is {
			list = append(list, int64(i))
		}
	}
	if int64(len(list)) > buckets/2 {
		return nil, 1, "merge", nil
	}
	return list, buckets, method, nil
}

// mostNested is how many columns are hashed one after the other at most: the
// server takes expressions only so deep.
const mostNested = 100

// contentHash is SQL for a hash of the columns' text. What a row is as text would
// be simpler, and take four times as long.
func (p pair) contentHash(columns []string) string {
	hash := "0"
	if len(columns) > mostNested {
		for part := range slices.Chunk(columns, 40) { // the server takes a hundred arguments
			var arguments strings.Builder
			for _, c := range part {
				fmt.Fprintf(&arguments, ", %[1]s is null, %[1]s", quote(c))
			}
			hash = fmt.Sprintf(`hashtextextended(concat_ws(e'\x1f'%s) collate "C", %s)`, arguments.String(), hash)
		}
		return hash
	}
	for _, c := range columns {
		hash = p.columnHash(c, hash)
	}
	return hash
}

// columnHash is SQL for a hash of a column's text, and of the seed. It tells null
// from a text that is empty, and from 0. Numbers of 64 bits are hashed as text:
// the server's own hash of them is the same for many.
func (p pair) columnHash(column, seed string) string {
	name := quote(column)
	seed = fmt.Sprintf("%s # (%s is null)::int::bigint", seed, name)
	kept, _, _ := p.kept.column(column)
	live, _, _ := p.live.column(column)
	switch {
	case kept != live:
	case kept == "text" || strings.HasPrefix(kept, "character varying"):
		return fmt.Sprintf(`hashtextextended(coalesce(%s, '') collate "C", %s)`, name, seed)
	case kept == "uuid":
		return fmt.Sprintf("uuid_hash_extended(coalesce(%s, '00000000-0000-0000-0000-000000000000'), %s)", name, seed)
	case kept == "integer" || kept == "smallint":
		return fmt.Sprintf("hashint4extended(coalesce(%s, 0), %s)", name, seed)
	}
	return fmt.Sprintf(`hashtextextended(concat_ws('', %s) collate "C", %s)`, name, seed)
}

// fewNew tells whether few rows of a table with a key may be by a transaction
// since the copy. If these are many they may be equal all the same, to the last.
// A sample of the table's pages tells.
func (s *salvaging) fewNew(ctx context.Context, p pair) (bool, error) {
	if s.since == "true" || len(p.key) == 0 {
		return false, nil
	}
	var fresh, rows int64
	err := s.kept.QueryRow(ctx, fmt.Sprintf("select count(*), count(*) filter (where %s) from only %s tablesample system (%f)",
		s.since, p.kept, min(100, max(0.5, 100*fewPages/float64(p.kept.pages+1))))).Scan(&rows, &fresh)
	return fresh*manyChanged <= rows, err
}

// mark marks the buckets with rows of the replaced database that are fresh, and
// those in which the rows' content, or their keys if that is "", is not the same
// in the live database. Keys are if either all are, or all of rows that are
// neither fresh nor the live database's own: what the two have inserted is then
// the whole difference.
func (s *salvaging) mark(ctx context.Context, p pair, suspect []bool, content string) error {
	since, after := s.since, s.after
	if content != "" {
		since, after = "false", "false"
	}
	kept, live, err := both(
		func() ([]digest, error) { return digests(ctx, s.kept, s.digestQuery(p, len(suspect), content, since)) },
		func() ([]digest, error) { return digests(ctx, s.live, s.digestQuery(p, len(suspect), content, after)) })
	if err != nil {
		return err
	}
	for i := range suspect {
		group, place := i%mostGroups, i/mostGroups
		k, l := kept[group], live[group]
		suspect[i] = k.all != l.all && k.old != l.old || k.fresh>>place&1 == 1
	}
	return nil
}

// A digest is of all rows in one group of buckets.
type digest struct {
	all   string // sum over all rows
	old   string // sum over those that are not fresh
	fresh int64  // a bit for each bucket of the group: it has a fresh row
}

// digestQuery is the query for the digests of a table.
func (s *salvaging) digestQuery(p pair, buckets int, content, fresh string) string {
	columns := []string{p.hash() + " as " + hashColumn, fresh + " as " + markColumn}
	value, sum := hashColumn, "sum"
	if content != "" {
		columns = append(columns, content+" as "+contentColumn)
		value = contentColumn
	}
	if len(p.key) > 0 && s.major >= 14 {
		sum = "bit_xor" // faster; but it takes two equal rows for none
	}
	// With an offset the server works a hash out once, not wherever it is used.
	return fmt.Sprintf(`
		select (%[1]s & %[2]d)::int, %[3]s(%[4]s)::text, coalesce((%[3]s(%[4]s) filter (where not %[5]s))::text, ''),
		       coalesce(bit_or(1 << ((%[1]s & %[6]d) / %[7]d)::int) filter (where %[5]s), 0)
		  from (select %[8]s from only %[9]s offset 0) t group by 1`,
		hashColumn, min(buckets, mostGroups)-1, sum, value, markColumn, buckets-1, mostGroups, list(columns), p.kept)
}

// digests reads them, by their groups.
func digests(ctx context.Context, conn *pgx.Conn, query string) ([]digest, error) {
	list := make([]digest, mostGroups)
	// The server expects as many groups as there are rows, and would sort them.
	if _, err := conn.Exec(ctx, "set local enable_sort to off; set local work_mem to '4MB'"); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	var (
		group int
		d     digest
	)
	if _, err := pgx.ForEachRow(rows, []any{&group, &d.all, &d.old, &d.fresh}, func() error {
		list[group] = d
		return nil
	}); err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "set local enable_sort to on; set local work_mem to '64MB'")
	return list, err
}

// both does two things at once.
func both[T any](first, second func() (T, error)) (a, b T, err error) {
	var (
		other    sync.WaitGroup
		otherErr error
	)
	other.Go(func() { b, otherErr = second() })
	a, err = first()
	other.Wait()
	return a, b, errors.Join(err, otherErr)
}
