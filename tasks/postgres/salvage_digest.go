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

	// hashColumn and markColumn are names that no table's column has.
	hashColumn = "_phasegate_hash"
	markColumn = "_phasegate_mark"

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
	method, value := "content", contentHash(p.counted())
	if s.since != "true" && len(p.key) > 0 {
		few, err := s.markNew(ctx, p, suspect)
		if err != nil {
			return nil, 0, "", err
		}
		if few {
			method, value = "xmin", hashColumn
		}
	}
	if err := s.markUnequal(ctx, p, suspect, value); err != nil {
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

// contentHash is SQL for a hash of the columns' text. What a row is as text would
// be simpler, and take twice as long. The server takes a hundred arguments.
func contentHash(columns []string) string {
	hash := "0"
	for part := range slices.Chunk(columns, 40) {
		var arguments strings.Builder
		for _, c := range part {
			fmt.Fprintf(&arguments, ", %[1]s is null, %[1]s", quote(c))
		}
		hash = fmt.Sprintf(`hashtextextended(concat_ws(e'\x1f'%s) collate "C", %s)`, arguments.String(), hash)
	}
	return hash
}

// markNew marks the buckets with rows by a transaction since the copy. If these
// are many of all it marks none: they may be equal all the same, to the last. A
// sample of the table's pages tells.
func (s *salvaging) markNew(ctx context.Context, p pair, suspect []bool) (few bool, err error) {
	var fresh, rows int64
	err = s.kept.QueryRow(ctx, fmt.Sprintf("select count(*), count(*) filter (where %s) from only %s tablesample system (%f)",
		s.since, p.kept, min(100, max(0.5, 100*fewPages/float64(p.kept.pages+1))))).Scan(&rows, &fresh)
	if err != nil || fresh*manyChanged > rows {
		return false, err
	}
	found, err := s.kept.Query(ctx, fmt.Sprintf("select distinct %s & %d from only %s where %s", p.hash(), len(suspect)-1, p.kept, s.since))
	if err != nil {
		return false, err
	}
	var i int64
	_, err = pgx.ForEachRow(found, []any{&i}, func() error {
		suspect[i] = true
		return nil
	})
	return true, err
}

// markUnequal marks the buckets in which the sum over a value of the rows is
// another one in the other database: over the hash of the key, or over a hash of
// the row.
func (s *salvaging) markUnequal(ctx context.Context, p pair, suspect []bool, value string) error {
	aggregate := "sum"
	if len(p.key) > 0 && s.major >= 14 {
		aggregate = "bit_xor" // faster; but it takes two equal rows for none
	}
	groups := min(len(suspect), mostGroups)
	query := fmt.Sprintf("select %[1]s & %[2]d, %[3]s(%[4]s)::text from (select *, %[5]s as %[1]s from only %[6]s) t group by 1",
		hashColumn, groups-1, aggregate, value, p.hash(), p.kept)
	digest := func(conn *pgx.Conn) ([]string, error) {
		sums := make([]string, groups)
		// The server expects as many groups as there are rows, and would sort them.
		if _, err := conn.Exec(ctx, "set local enable_sort to off; set local work_mem to '4MB'"); err != nil {
			return nil, err
		}
		rows, err := conn.Query(ctx, query)
		if err != nil {
			return nil, err
		}
		var (
			i   int64
			sum string
		)
		if _, err = pgx.ForEachRow(rows, []any{&i, &sum}, func() error {
			sums[i] = sum
			return nil
		}); err != nil {
			return nil, err
		}
		_, err = conn.Exec(ctx, "set local enable_sort to on; set local work_mem to '64MB'")
		return sums, err
	}
	kept, live, err := both(
		func() ([]string, error) { return digest(s.kept) },
		func() ([]string, error) { return digest(s.live) })
	if err != nil {
		return err
	}
	for i := range suspect {
		suspect[i] = suspect[i] || kept[i%groups] != live[i%groups]
	}
	return nil
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
