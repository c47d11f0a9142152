package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A record is a run as one snapshot of the database shows it.
type record struct {
	end   chain // as the last append left it
	lines [][]byte
}

func (p *Postgres) record(ctx context.Context, run string) (found record, err error) {
	if !ValidRun(run) {
		return record{}, fmt.Errorf("run %q: %w", run, ErrNotFound)
	}
	err = p.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found, err = readRecord(ctx, conn, run)
		return err
	})
	if err != nil {
		return record{}, fmt.Errorf("read journal of run %s: %w", run, err)
	}
	return found, nil
}

func readRecord(ctx context.Context, conn *pgx.Conn, run string) (r record, err error) {
	err = conn.QueryRow(ctx, `
		select seq, hash, array(select line from phasegate.events e where e.run = r.run order by e.seq)
		  from phasegate.runs r where run = $1`, run).Scan(&r.end.seq, &r.end.prev, &r.lines)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, ErrNotFound
	}
	return r, err
}

// follow verifies the lines, and that they end where the journal did.
func (r record) follow(run string, each func(Event)) (chain, error) {
	known := min(int64(len(r.lines)), r.end.seq)
	links, err := follow(run, r.lines[:known], each)
	damaged := func(line int64, format string, args ...any) (chain, error) {
		return links, &DamagedError{Run: run, Line: int(line), Err: fmt.Errorf(format, args...)}
	}
	switch {
	case err != nil:
		return links, err
	case known < r.end.seq:
		return damaged(known+1, "it is missing, and the journal had %d", r.end.seq)
	case links != r.end:
		return damaged(known, "it was altered after it was written")
	case known < int64(len(r.lines)):
		return damaged(known+1, "the journal had %d, this one was put in by another hand", r.end.seq)
	}
	return links, nil
}
