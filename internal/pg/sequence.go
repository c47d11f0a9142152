package pg

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Sequence is where a sequence stands.
type Sequence struct {
	Name   string `json:"name"`   // quoted where need be, with its schema
	Value  int64  `json:"value"`  // last_value
	Called bool   `json:"called"` // is_called: the next value is another one

	increment int64
	cycles    bool
}

// Compare orders sequences by name, byte by byte.
func (s Sequence) Compare(other Sequence) int { return strings.Compare(s.Name, other.Name) }

// Sequences lists the sequences that pg_dump would put into an archive, of the
// extensions' those that hold configuration, with where they stand. That belongs to no snapshot: it is of the moment of the call.
func Sequences(ctx context.Context, conn *pgx.Conn) ([]Sequence, error) {
	rows, err := conn.Query(ctx, `
		select format('%I.%I', n.nspname, c.relname), 0, false, s.seqincrement, s.seqcycle
		  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_sequence s on s.seqrelid = c.oid
		 where c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
		   and (c.oid in (select unnest(extconfig) from pg_extension) or not exists (
		         select from pg_depend d
		          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'))
		 order by n.nspname collate "C", c.relname collate "C"`)
	if err != nil {
		return nil, fmt.Errorf("list the sequences: %w", err)
	}
	sequences, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Sequence, err error) {
		err = row.Scan(&s.Name, &s.Value, &s.Called, &s.increment, &s.cycles)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the sequences: %w", err)
	}
	for i := range sequences {
		s := &sequences[i]
		if err := conn.QueryRow(ctx, "select last_value, is_called from "+s.Name).Scan(&s.Value, &s.Called); err != nil {
			return nil, fmt.Errorf("read sequence %s: %w", s.Name, err)
		}
	}
	return sequences, nil
}

// SequencesBetween returns a sentence for each sequence that does not stand
// between where it stood before and after, when an archive was made meanwhile.
// Of one that may start again, or was set back meanwhile, only its presence is
// looked at.
func SequencesBetween(before, after, got []Sequence) []string {
	last := byName(after)
	return compareSequences(before, got, func(b, g Sequence) bool {
		a, ok := last[b.Name]
		if !ok || b.cycles || b.passed(a) {
			return true
		}
		return !b.passed(g) && !b.at(g).passed(a)
	})
}

// passed tells whether s is further than other, in the direction in which s goes.
func (s Sequence) passed(other Sequence) bool {
	if s.Value == other.Value {
		return s.Called && !other.Called
	}
	return (s.Value > other.Value) == (s.increment > 0)
}

// at is s where other stands.
func (s Sequence) at(other Sequence) Sequence {
	s.Value, s.Called = other.Value, other.Called
	return s
}

// SequenceDifferences returns a sentence for each sequence of got that is not
// where it stands in want.
func SequenceDifferences(want, got []Sequence) []string {
	return compareSequences(want, got, func(w, g Sequence) bool { return w.Value == g.Value && w.Called == g.Called })
}

// SequencesBehind returns a sentence for each sequence of both that stands before
// where it stood: it would give a number again. One that may start again is left
// out.
func SequencesBehind(before, got []Sequence) (differences []string) {
	found := byName(got)
	for _, b := range before {
		if g, ok := found[b.Name]; ok && !b.cycles && b.passed(g) {
			differences = append(differences, fmt.Sprintf("sequence %s stands at %s, and stood at %s", b.Name, g.place(), b.place()))
		}
	}
	return differences
}

func compareSequences(want, got []Sequence, fits func(want, got Sequence) bool) (differences []string) {
	found := byName(got)
	for _, w := range want {
		g, ok := found[w.Name]
		delete(found, w.Name)
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("sequence %s is missing", w.Name))
		case !fits(w, g):
			differences = append(differences, fmt.Sprintf("sequence %s stands at %s, not at %s", w.Name, g.place(), w.place()))
		}
	}
	for _, g := range got {
		if _, extra := found[g.Name]; extra {
			differences = append(differences, fmt.Sprintf("sequence %s should not be there", g.Name))
		}
	}
	return differences
}

func byName(list []Sequence) map[string]Sequence {
	found := map[string]Sequence{}
	for _, s := range list {
		found[s.Name] = s
	}
	return found
}

func (s Sequence) place() string {
	if s.Called {
		return fmt.Sprint(s.Value)
	}
	return fmt.Sprintf("%d, not used yet", s.Value)
}
