package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tryTimeout bounds one try. It ends a connection on which nothing comes back.
const tryTimeout = 15 * time.Second

// The pauses between two tries double from one to the other.
const (
	shortestPause = 20 * time.Millisecond
	longestPause  = 2 * time.Second
)

// do calls f with a connection on which everything is held that was. While the
// database is away it tries again, so f has to bear being called twice.
func (p *Postgres) do(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	until := time.Now().Add(p.patience)
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		err := p.once(ctx, f)
		if err == nil || !passing(err) {
			return err
		}
		if time.Now().Add(pause).After(until) {
			return p.away(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// once is one try of do. Errors that may pass are marked.
func (p *Postgres) once(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := p.reconnect(limited)
	if err == nil {
		err = f(limited, p.conn)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case mayPass(err, p.conn == nil || p.conn.IsClosed()):
		return &passingError{err}
	}
	return err
}

// A passingError is one after which trying again makes sense.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

func passing(err error) bool {
	_, ok := errors.AsType[*passingError](err)
	return ok
}

// mayPass tells whether an error may be none a moment later: the connection
// broke, or the server is stopping, starting, full of connections or busy.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func mayPass(err error, broken bool) bool {
	if pooled(err) {
		return false
	}
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return broken
	}
	switch {
	case strings.HasPrefix(server.Code, "08"), strings.HasPrefix(server.Code, "57"):
		return true
	case server.Code == "53300", server.Code == "40001", server.Code == "40P01":
		return true
	}
	return false
}

// reconnect makes the connection if it broke, and takes back what was held on
// it. What another process took meanwhile is lost, and everything else with it:
// a run may do nothing without its target.
func (p *Postgres) reconnect(ctx context.Context) error {
	if p.conn != nil && !p.conn.IsClosed() {
		return nil
	}
	conn, err := connectSession(ctx, p.config)
	if err != nil {
		return err
	}
	for _, held := range p.claims {
		err := held.takeBack(ctx, conn)
		if errors.Is(err, ErrTakenOver) || errors.Is(err, ErrNotFound) {
			p.lose(err)
			_, err = conn.Exec(ctx, `select pg_advisory_unlock_all()`)
		}
		if err != nil {
			closeSoon(conn)
			return err
		}
	}
	p.conn, p.broken = conn, time.Time{}
	return nil
}

// drop closes the connection.
func (p *Postgres) drop() {
	if p.conn != nil {
		closeSoon(p.conn)
		p.conn = nil
	}
}

// keep looks at the connection from time to time, so that what is held is not
// without its lock for as long as a step takes that writes nothing. It gives up
// what it could not take back for so long that somebody else may be at work on it.
func (p *Postgres) keep(quiet <-chan struct{}) {
	ticker := time.NewTicker(p.beat)
	defer ticker.Stop()
	for {
		select {
		case <-quiet:
			return
		case <-ticker.C:
			p.look()
		}
	}
}

func (p *Postgres) look() {
	if !p.mu.TryLock() {
		return // somebody uses it, and will notice
	}
	defer p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	if p.conn != nil {
		_ = p.conn.Ping(ctx) // closes it if it is broken
	}
	if len(p.claims) == 0 {
		return
	}
	switch err := p.reconnect(ctx); {
	case err != nil && p.broken.IsZero():
		p.broken = time.Now() // there is a next time
	case err != nil && time.Since(p.broken) > p.patience:
		p.lose(p.away(err))
	}
}

// away is the error of a database that does not come back.
func (p *Postgres) away(why error) error {
	return &hintedError{
		fmt.Errorf("the journal's database was away for %s: %w", p.patience, why),
		"bring the database back, then go on with the run: it knows what was done",
	}
}
