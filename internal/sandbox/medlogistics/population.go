package medlogistics

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/schema"
)

// A Population says how many people a database holds; their orders and
// administrations follow in proportion.
type Population struct {
	Users int

	// Unmigratable puts two users among them whom no tenant takes: the last has
	// no valid e-mail address, the one before has the first user's address in
	// capitals. It needs three users.
	Unmigratable bool
}

// Refused is the number of users whom no tenant takes.
func (p Population) Refused() int {
	if p.Unmigratable {
		return 2
	}
	return 0
}

// Seed is Population{Users: users}.Seed.
func Seed(ctx context.Context, dsn redact.Secret, users int) error {
	return Population{Users: users}.Seed(ctx, dsn)
}

// Seed makes the tables of the time before the cut-over in the empty database
// of dsn and fills them, in one transaction: all or nothing. It takes a few
// seconds for 100,000 users; its memory does not grow with their number.
func (p Population) Seed(ctx context.Context, dsn redact.Secret) error {
	if p.Users < 0 || p.Unmigratable && p.Users < 3 {
		return fmt.Errorf("seed MedLogistics: %d users are too few", p.Users)
	}
	conn, err := pg.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("seed MedLogistics: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := p.fill(ctx, conn); err != nil {
		return fmt.Errorf("seed MedLogistics: %w", err)
	}
	// The planner would otherwise know nothing of the tables for a minute.
	if _, err := conn.Exec(ctx, "analyze"); err != nil {
		return fmt.Errorf("seed MedLogistics: %w", err)
	}
	return nil
}

func (p Population) fill(ctx context.Context, conn *pgx.Conn) error {
	baseline, err := schema.FS.ReadFile(schema.BaselineFile)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, string(baseline)); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
		if err := skipReferences(ctx, tx); err != nil {
			return err
		}
		for _, t := range p.tables() {
			if err := t.copyTo(ctx, conn.PgConn()); err != nil {
				return fmt.Errorf("fill %s: %w", t.name, err)
			}
		}
		return nil
	})
}

// skipReferences spares a superuser the check of each reference, which would
// take longer than all else: what is written here refers to what is there.
func skipReferences(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		select set_config('session_replication_role', 'replica', true)
		  from pg_roles where rolname = current_user and rolsuper`)
	return err
}
