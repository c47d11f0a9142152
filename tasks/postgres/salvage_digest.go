package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// The rows of a table are dealt into groups by the hash of their key, and each group
// into buckets. Groups that are equal in both databases hold no change, but for the
// buckets with rows that are new: only suspect buckets are read row by row. Of a group
// only sums are kept, so that memory does not grow with the table.
const (
	fewestGroups = 1 << 8

	// mostGroups is how many sums the server makes at once: a bigger table of them would
	// not stay in the processor's cache, and take three times as long.
	mostGroups = 1 << 12

	// perGroup is how many buckets a group is of: a bit each of one number.
	perGroup = 64

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

// A suspicion tells where the two databases may differ in a table, and how that was
// found.
type suspicion struct {
	method  string
	buckets []byte // a bit for each, in the order of the server's get_bit; nil: every row is suspect
	own     bool   // whether the live database may have written to the table since the swap
}

// none tells whether nothing is suspect.
func (s *suspicion) none() bool { return s.buckets != nil && s.count() == 0 }

func (s *suspicion) count() (n int) {
	for _, eight := range s.buckets {
		n += bits.OnesCount8(eight)
	}
	return n
}

func (s *suspicion) add(bucket int64) { s.buckets[bucket/8] |= 1 << (bucket % 8) }

// has is SQL for whether the row whose hash the column has is suspect.
func (s *suspicion) has(column string) string {
	if s.buckets == nil {
		return "true"
	}
	return fmt.Sprintf(`get_bit('\x%x'::bytea, (%s & %d)::int) = 1`, s.buckets, column, 8*len(s.buckets)-1)
}

// suspects finds out what has to be compared row by row.
func (s *salvaging) suspects(ctx context.Context, p pair) (suspicion, error) {
	pages := max(p.kept.pages, p.live.pages)
	if pages <= fewPages {
		return suspicion{method: "merge", own: true}, nil
	}
	groups := int64(fewestGroups)
	for groups < pages && groups < mostGroups {
		groups *= 2
	}
	suspects := suspicion{method: "content", buckets: make([]byte, groups*perGroup/8), own: true}
	few, err := s.fewNew(ctx, p)
	if err != nil {
		return suspects, err
	}
	if few {
		suspects.method = "xmin"
		err = s.markKeys(ctx, p, groups, &suspects)
	} else {
		err = s.markContent(ctx, p, groups, &suspects)
	}
	if int64(suspects.count()) > groups*perGroup/2 {
		suspects.method, suspects.buckets = "merge", nil
	}
	return suspects, err
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

// markContent marks the groups whose rows do not have the same content in both
// databases.
func (s *salvaging) markContent(ctx context.Context, p pair, groups int64, suspects *suspicion) error {
	query := s.digestQuery(p, groups, p.contentHash(p.counted()), "false")
	kept, live, err := s.digests(ctx, query, query)
	if err != nil {
		return err
	}
	for group := range kept {
		if kept[group].all != live[group].all {
			suspects.addGroup(int64(group), groups)
		}
	}
	return nil
}

// markKeys marks the buckets with rows of the replaced database that are fresh, and
// those in which the rows' keys are not the same in the live database. Keys are if
// either all are, or all of rows that are neither fresh nor the live database's own:
// what the two have inserted is then the whole difference.
func (s *salvaging) markKeys(ctx context.Context, p pair, groups int64, suspects *suspicion) error {
	kept, live, err := s.digests(ctx, s.digestQuery(p, groups, "", s.since), s.digestQuery(p, groups, "", s.after))
	if err != nil {
		return err
	}
	suspects.own = false
	for i := range kept {
		k, l, group := kept[i], live[i], int64(i)
		suspects.own = suspects.own || l.fresh != 0
		for place := range int64(perGroup) {
			if k.fresh>>place&1 == 1 {
				suspects.add(place*groups + group)
			}
		}
		if k.all == l.all || k.old == l.old {
			continue
		}
		if hash, ok := lone(k, l); ok {
			suspects.add(hash & (groups*perGroup - 1))
		} else {
			suspects.addGroup(group, groups)
		}
	}
	return nil
}

// addGroup adds all buckets of a group.
func (s *suspicion) addGroup(group, groups int64) {
	for place := range int64(perGroup) {
		s.add(place*groups + group)
	}
}

// A digest is of all rows in one group.
type digest struct {
	all   string // sum over all rows
	old   string // sum over those that are not fresh
	twist *int64 // bit_xor over the twists of all keys' hashes, nil where the sums are not bit_xor over the hashes
	fresh int64  // a bit for each bucket of the group: it has a fresh row
}

// half are the lower 31 bits of a hash. Its twist is the product of two halves: what
// several hashes are together by bit_xor has the twist that they have together only if
// all but one cancel each other.
const half = 1<<31 - 1

func twist(hash int64) int64 { return (hash & half) * (hash >> 31 & half) }

// lone returns the hash of the only key that one of the two digests has and the other
// does not, if it is only one.
func lone(k, l digest) (hash int64, ok bool) {
	if k.twist == nil || l.twist == nil {
		return 0, false
	}
	one, err := strconv.ParseInt(k.all, 10, 64)
	other, otherErr := strconv.ParseInt(l.all, 10, 64)
	hash = one ^ other
	return hash, err == nil && otherErr == nil && twist(hash) == *k.twist^*l.twist
}

// digestQuery is the query for the digests of a table: of its rows' keys, or of their
// content if that is not "".
func (s *salvaging) digestQuery(p pair, groups int64, content, fresh string) string {
	columns := []string{p.hash() + " as " + hashColumn, fresh + " as " + markColumn}
	value, sum, twists := hashColumn, "sum", "null"
	if content != "" {
		columns = append(columns, content+" as "+contentColumn)
		value = contentColumn
	}
	if len(p.key) > 0 && s.major >= 14 {
		sum = "bit_xor" // faster; but it takes two equal rows for none
	}
	if content == "" && sum == "bit_xor" {
		twists = fmt.Sprintf("bit_xor((%[1]s & %[2]d) * (%[1]s >> 31 & %[2]d))", hashColumn, half)
	}
	// With an offset the server works a hash out once, not wherever it is used.
	return fmt.Sprintf(`
		select (%[1]s & %[2]d)::int, %[3]s(%[4]s)::text, coalesce((%[3]s(%[4]s) filter (where not %[5]s))::text, ''), %[6]s,
		       coalesce(bit_or(1::bigint << ((%[1]s & %[7]d) / %[8]d)::int) filter (where %[5]s), 0)
		  from (select %[9]s from only %[10]s offset 0) t group by 1`,
		hashColumn, groups-1, sum, value, markColumn, twists, groups*perGroup-1, groups, list(columns), p.kept)
}

// digests reads those of both databases, by their groups.
func (s *salvaging) digests(ctx context.Context, keptQuery, liveQuery string) (kept, live []digest, err error) {
	return both(
		func() ([]digest, error) { return digests(ctx, s.kept, keptQuery) },
		func() ([]digest, error) { return digests(ctx, s.live, liveQuery) })
}

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
	if _, err := pgx.ForEachRow(rows, []any{&group, &d.all, &d.old, &d.twist, &d.fresh}, func() error {
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
