package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// unfinished is the connection limit that a copy has from the statement that
// creates it until it gets its name: with the name's form it proves that the
// database is an unfinished copy, also where the process was killed before the
// server had made it. No server takes so many connections.
const unfinished = 1_830_257

// dropUnfinished drops the copies of the live database that killed runs have left
// unfinished. The caller holds the lock without which no copy is made.
func dropUnfinished(ctx context.Context, conn *pgx.Conn, live string, log *slog.Logger) error {
	names, err := unfinishedCopies(ctx, conn, live)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := dropLeft(ctx, conn, name, log); err != nil {
			return err
		}
	}
	return nil
}

// unfinishedCopies lists them.
func unfinishedCopies(ctx context.Context, conn *pgx.Conn, live string) ([]string, error) {
	rows, err := conn.Query(ctx, "select datname::text from pg_database where datconnlimit = $1 order by 1", unfinished)
	if err != nil {
		return nil, fmt.Errorf("look for unfinished copies: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for unfinished copies: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !unfinishedCopy(name, live) }), nil
}

// dropLeft drops one of them.
func dropLeft(ctx context.Context, conn *pgx.Conn, name string, log *slog.Logger) error {
	if _, err := conn.Exec(ctx, fmt.Sprintf("drop database if exists %s with (force)", quote(name))); err != nil {
		return fmt.Errorf("drop the unfinished copy %s: %w", name, err)
	}
	log.Warn("an unfinished copy that a killed run has left is dropped", "database", name)
	return nil
}

// clearAway is [dropUnfinished] for whoever has more important things to do: a
// failure is logged.
func clearAway(ctx context.Context, conn *pgx.Conn, live string, log *slog.Logger) {
	if conn.IsClosed() || ctx.Err() != nil {
		return
	}
	if err := dropUnfinished(ctx, conn, live, log); err != nil {
		log.Warn("an unfinished copy may be left: the next postgres/stage drops it", "error", err)
	}
}

// unfinishedCopy tells whether a name is one of an unfinished copy of live.
func unfinishedCopy(name, live string) bool {
	whole, ok := strings.CutSuffix(name, building)
	at := strings.LastIndex(whole, copyKind)
	return ok && at >= 0 && beside(live, whole[at:]) == whole
}
