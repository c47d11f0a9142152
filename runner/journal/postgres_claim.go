package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A claim is a run or a target that this process holds, or held.
type claim struct {
	id    string // tells it from every other, of whichever kind
	name  string
	look  string // query of its epoch
	epoch int64
	lost  chan struct{}
	err   error // why it is not held any more
}

func runClaim(run string) *claim {
	return &claim{
		id: "run " + run, name: run, lost: make(chan struct{}),
		look: `select epoch from phasegate.runs where run = $1`,
	}
}

func targetClaim(target string) *claim {
	return &claim{
		id: "target " + target, name: target, lost: make(chan struct{}),
		look: `select epoch from phasegate.targets where target = $1`,
	}
}

// key is the number of the advisory lock.
func (c *claim) key() int64 { return lockKey(c.id) }

func lockKey(id string) int64 {
	sum := sha256.Sum256([]byte("phasegate journal " + id))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// lock takes the advisory lock, or says that it is not free.
func (c *claim) lock(ctx context.Context, conn *pgx.Conn) error {
	var locked bool
	err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, c.key()).Scan(&locked)
	if err == nil && !locked {
		return ErrHeld
	}
	return err
}

// takeBack gets the claim onto a new connection. A lock that is not free under
// an epoch that is still ours is that of our own old session, which the server
// does not yet know to be over, or of somebody about to count the epoch up.
func (c *claim) takeBack(ctx context.Context, conn *pgx.Conn) error {
	locked := c.lock(ctx, conn)
	if locked != nil && !errors.Is(locked, ErrHeld) {
		return locked
	}
	var epoch int64
	err := conn.QueryRow(ctx, c.look, c.name).Scan(&epoch)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c.gone()
	case err != nil:
		return err
	case epoch != c.epoch:
		return c.takenOver()
	}
	if locked != nil {
		return fmt.Errorf("%s: the server has not given its lock back: %w", c.id, locked)
	}
	return nil
}

func (c *claim) takenOver() error { return fmt.Errorf("%s: %w", c.id, ErrTakenOver) }

func (c *claim) gone() error {
	return fmt.Errorf("%s is gone from its database: %w", c.id, ErrNotFound)
}

// claim takes the lock of held, and then what take does, which sets the epoch.
func (p *Postgres) claim(ctx context.Context, held *claim, take func(context.Context, *pgx.Conn) error) error {
	return p.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if p.claims[held.id] != nil {
			return ErrHeld
		}
		if err := held.lock(ctx, conn); err != nil {
			return err
		}
		if err := take(ctx, conn); err != nil {
			p.unlock(ctx, held)
			return err
		}
		if len(p.claims) == 0 {
			p.quiet = make(chan struct{})
			go p.keep(p.quiet)
		}
		p.claims[held.id] = held
		return nil
	})
}

// release gives a claim back, if it is held still.
func (p *Postgres) release(held *claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claims[held.id] != held {
		return
	}
	held.err = errClosed
	delete(p.claims, held.id)
	if len(p.claims) == 0 {
		close(p.quiet)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	p.unlock(ctx, held)
}

// unlock frees the lock, or ends the session that has it.
func (p *Postgres) unlock(ctx context.Context, held *claim) {
	if p.conn == nil || p.conn.IsClosed() {
		return
	}
	if _, err := p.conn.Exec(ctx, `select pg_advisory_unlock($1)`, held.key()); err != nil {
		p.drop()
	}
}

// lost says why a claim is not held any more, nil if it is.
func (p *Postgres) lost(held *claim) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return held.err
}

// lose ends all claims at once.
func (p *Postgres) lose(why error) {
	if len(p.claims) == 0 {
		return
	}
	for id, held := range p.claims {
		held.err = why
		close(held.lost)
		delete(p.claims, id)
	}
	close(p.quiet)
}
