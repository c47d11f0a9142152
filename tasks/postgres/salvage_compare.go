package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/runner/task"
)

// salvaging is a salvage under way.
type salvaging struct {
	salvage    *Salvage
	env        *task.Env
	kept, live *pgx.Conn // each in a transaction that sees one moment
	since      string    // SQL: whether a row of the replaced database may be new
	after      string    // SQL: whether a row of the live database is its own
	major      int       // version of the server
	files      *salvageFiles
	receipt    SalvageReceipt
}

// run compares table by table and writes the files.
func (s *salvaging) run(ctx context.Context) (SalvageReceipt, error) {
	pairs, dropped, err := s.survey(ctx)
	if err != nil {
		return s.receipt, err
	}
	if s.major, err = serverMajor(ctx, s.live); err != nil {
		return s.receipt, err
	}
	if err := s.boundaries(ctx); err != nil {
		return s.receipt, err
	}
	if s.files, err = createSalvageFiles(s.env.Dir, s.receipt, pairs); err != nil {
		return s.receipt, err
	}
	defer s.files.remove()
	total := int64(len(pairs) + len(dropped))
	s.receipt.Tables = []SalvagedTable{}
	for i, p := range pairs {
		if err := s.table(ctx, p); err != nil {
			return s.receipt, err
		}
		s.env.Progress(int64(i+1), total, "tables")
	}
	for i, r := range dropped {
		found := SalvagedTable{Table: r.quoted, Method: "dropped", Ignored: []string{}}
		if found.Dropped, err = s.dropped(ctx, r, nil, r.columns); err != nil {
			return s.receipt, err
		}
		s.count(found)
		s.env.Progress(int64(len(pairs)+i+1), total, "tables")
	}
	if err := s.large(ctx); err != nil {
		return s.receipt, err
	}
	s.receipt.Compared = int64(len(pairs))
	return s.files.finish(s.receipt)
}

// table compares one table and writes down what it finds.
func (s *salvaging) table(ctx context.Context, p pair) (err error) {
	found := SalvagedTable{Table: p.kept.quoted, Ignored: p.ignored}
	own, err := s.changes(ctx, p, &found)
	if err != nil {
		return fmt.Errorf("compare table %s: %w", p.kept, err)
	}
	if own {
		if found.Unsure, err = s.unsure(ctx, p); err != nil {
			return err
		}
	}
	if len(p.added) > 0 {
		if found.Dropped, err = s.dropped(ctx, p.kept, p.identity(), p.added); err != nil {
			return err
		}
	}
	s.count(found)
	return nil
}

func (s *salvaging) count(t SalvagedTable) {
	s.receipt.Inserted += t.Inserted
	s.receipt.Updated += t.Updated
	s.receipt.Deleted += t.Deleted
	s.receipt.Both += t.Both
	s.receipt.Dropped += t.Dropped
	s.receipt.Unsure += t.Unsure
	if t.Inserted+t.Updated+t.Deleted+t.Both+t.Dropped+t.Unsure > 0 {
		s.receipt.Tables = append(s.receipt.Tables, t)
	}
}

// boundaries makes conditions of the two numbers of transactions. A number that
// has gone round, after two thousand million transactions, tells nothing.
func (s *salvaging) boundaries(ctx context.Context) error {
	since, err := s.salvage.since()
	if err != nil {
		return err
	}
	after, err := s.salvage.after()
	if err != nil {
		return err
	}
	var next uint64
	if err := s.live.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&next); err != nil {
		return fmt.Errorf("read the number of the transaction: %w", err)
	}
	if since > next || after > next {
		return task.Hint(fmt.Errorf("since or after is of a transaction that this server has not come to: it is at %d", next),
			"give the receipts of a stage and a swap on this server, or leave both out")
	}
	const round = 1 << 31
	s.since, s.after = "true", "false"
	if since > 0 && next-since < round {
		s.since = fmt.Sprintf("age(xmin) <= age('%d'::xid)", uint32(since))
	}
	if after > 0 && next-after < round {
		s.after = fmt.Sprintf("age(xmin) between 0 and age('%d'::xid)", uint32(after))
	}
	return nil
}

// A pair is a table that both databases have.
type pair struct {
	kept, live relation
	columns    []string // that both have, in the live one's order
	added      []string // that only the replaced one has
	key        []string // none: the rows are a multiset
	ignored    []string // columns in which a difference alone does not count
}

// identity is what tells one row from the others: its key, or all of it.
func (p pair) identity() []string {
	if len(p.key) > 0 {
		return p.key
	}
	return p.columns
}

// counted are the columns in which a difference is a write.
func (p pair) counted() []string {
	return slices.DeleteFunc(slices.Clone(p.columns), func(c string) bool { return slices.Contains(p.ignored, c) })
}

// survey pairs the tables of the two databases, parents first, and lists those
// that only the replaced one has.
func (s *salvaging) survey(ctx context.Context) (pairs []pair, dropped []relation, err error) {
	kept, err := relations(ctx, s.kept)
	if err != nil {
		return nil, nil, err
	}
	live, err := relations(ctx, s.live)
	if err != nil {
		return nil, nil, err
	}
	if live, err = parentsFirst(ctx, s.live, live); err != nil {
		return nil, nil, err
	}
	set, err := touched(ctx, s.live)
	if err != nil {
		return nil, nil, err
	}
	there := map[string]relation{}
	for _, r := range kept {
		there[r.quoted] = r
	}
	for _, r := range live {
		other, ok := there[r.quoted]
		if !ok {
			s.env.Log.Warn("a table of the live database is not in the replaced one: nothing of it is compared", "table", r.quoted)
			continue
		}
		delete(there, r.quoted)
		pairs = append(pairs, s.pair(other, r, set[r.quoted]))
	}
	for _, r := range kept {
		if _, left := there[r.quoted]; left {
			dropped = append(dropped, r)
		}
	}
	return pairs, dropped, nil
}

func (s *salvaging) pair(kept, live relation, touched []string) pair {
	p := pair{kept: kept, live: live, ignored: []string{}}
	for _, c := range live.columns {
		if slices.Contains(kept.columns, c) {
			p.columns = append(p.columns, c)
		}
	}
	for _, c := range kept.columns {
		if !slices.Contains(live.columns, c) {
			p.added = append(p.added, c)
		}
	}
	// A key that only one of them has could be there twice in the other.
	if len(live.key) > 0 && slices.Equal(live.key, kept.key) {
		p.key = live.key
	}
	if len(p.key) == 0 {
		return p // a row of a multiset has no other identity than all of it
	}
	for _, c := range p.columns {
		named := slices.ContainsFunc(s.salvage.IgnoreColumns, func(name string) bool {
			return name == c || name == live.name+"."+c || name == live.quoted+"."+c
		})
		if (named || slices.Contains(touched, c)) && !slices.Contains(p.key, c) {
			p.ignored = append(p.ignored, c)
		}
	}
	return p
}

// hash is SQL for a number of 64 bits that is the same for the same row in both
// databases, and hardly ever for two different rows.
func (p pair) hash() string {
	if len(p.key) == 1 {
		kept, _, _ := p.kept.column(p.key[0])
		live, _, _ := p.live.column(p.key[0])
		switch {
		case kept == "uuid" && live == "uuid":
			return fmt.Sprintf("uuid_hash_extended(%s, 0)", quote(p.key[0]))
		case isInteger(kept) && isInteger(live):
			return fmt.Sprintf("hashint8extended(%s::bigint, 0)", quote(p.key[0]))
		}
	}
	return fmt.Sprintf(`hashtextextended(row(%s)::text collate "C", 0)`, names(p.identity()))
}

func isInteger(kind string) bool {
	return kind == "bigint" || kind == "integer" || kind == "smallint"
}

// names lists columns as SQL.
func names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quote(c)
	}
	return list(quoted)
}
