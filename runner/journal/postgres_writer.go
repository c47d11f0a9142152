package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A postgresWriter appends to a run that its store holds.
type postgresWriter struct {
	store *Postgres
	held  *claim
	run   string
	links chain
	err   error // the first failure
}

// Append inserts the events in one statement and so in one transaction. While
// the database is away it waits, for a minute at most.
func (w *postgresWriter) Append(ctx context.Context, events ...Event) ([]Event, error) {
	if w.err != nil || len(events) == 0 {
		return nil, w.err
	}
	before := w.links
	lines, err := w.links.sealAll(events)
	if err == nil {
		err = w.write(ctx, before, lines)
	}
	if err != nil {
		w.err = fmt.Errorf("append to the journal: %w", err)
		return nil, w.err
	}
	return events, nil
}

// appendLines moves the journal's end and adds the lines, if the writer still
// has the run and the end is where it knows it. The row's lock lets a taker-over
// count the epoch up before this or after it, never in between.
const appendLines = `
	with mine as (
		update phasegate.runs set seq = $5, hash = $6
		 where run = $1 and epoch = $2 and seq = $3 and hash = $4
		returning run
	)
	insert into phasegate.events (run, seq, line)
	select mine.run, $3 + new.number, new.line
	  from mine, unnest($7::bytea[]) with ordinality as new(line, number)`

func (w *postgresWriter) write(ctx context.Context, before chain, lines [][]byte) error {
	if err := w.store.lost(w.held); err != nil {
		return err
	}
	return w.store.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if w.held.err != nil {
			return w.held.err
		}
		tag, err := conn.Exec(ctx, appendLines, w.run, w.held.epoch,
			before.seq, before.prev, w.links.seq, w.links.prev, lines)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		return w.readBack(ctx, conn)
	})
}

// readBack says why nothing was inserted. It is no failure if the events are
// there: they were inserted before, and the answer was lost with the connection.
func (w *postgresWriter) readBack(ctx context.Context, conn *pgx.Conn) error {
	var epoch int64
	var end chain
	err := conn.QueryRow(ctx, `select epoch, seq, hash from phasegate.runs where run = $1`, w.run).
		Scan(&epoch, &end.seq, &end.prev)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return w.held.gone()
	case err != nil:
		return err
	case epoch != w.held.epoch:
		w.store.lose(w.held.takenOver())
		return w.held.err
	case end == w.links:
		return nil
	}
	return fmt.Errorf("it ends with another event %d than was written: its database was altered, or put back to an older copy", end.seq)
}

// Lost is closed when the connection broke and another process took over, or has
// had the time to.
func (w *postgresWriter) Lost() <-chan struct{} { return w.held.lost }

func (w *postgresWriter) Close() error {
	w.store.release(w.held)
	return nil
}
