package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
)

// A holding is what a database holds beside the schema that a dump tells of: its
// rows, where its sequences stand, its large objects, and what belongs to the
// database as a whole. The history of migrations is left out.
type holding struct {
	tables    []pg.Table
	sequences []pg.Sequence
	large     pg.LargeObjects
	objects   []pg.Object
}

// hold reads all of a database.
func hold(ctx context.Context, config *pgx.ConnConfig) (h holding, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return h, fmt.Errorf("connect to the copy: %w", err)
	}
	defer pg.Close(conn) // which ends the transaction, too
	if err := pg.BeginRead(ctx, conn, time.Minute); err != nil {
		return h, err
	}
	if h.tables, err = pg.Tables(ctx, conn); err != nil {
		return h, err
	}
	h.tables = slices.DeleteFunc(h.tables, func(t pg.Table) bool { return t.Schema == revisionsTable })
	for i := range h.tables {
		if err := pg.Sum(ctx, conn, &h.tables[i]); err != nil {
			return h, err
		}
	}
	if h.sequences, err = pg.Sequences(ctx, conn); err != nil {
		return h, err
	}
	if h.large, err = pg.SumLarge(ctx, conn); err != nil {
		return h, err
	}
	h.objects, err = pg.Objects(ctx, conn)
	h.objects = slices.DeleteFunc(h.objects, func(o pg.Object) bool { return strings.Contains(o.Name, revisionsTable) })
	return h, err
}

// differences returns a sentence for whatever is not in got as it is in h. A
// sequence may have gone on, but not back: it would give a number twice.
func (h holding) differences(got holding) []string {
	differences := append(pg.Differences(h.tables, got.tables), pg.SequencesBehind(h.sequences, got.sequences)...)
	if d := h.large.Differ(got.large); d != "" {
		differences = append(differences, d)
	}
	return append(differences, pg.ObjectDifferences(h.objects, got.objects)...)
}
