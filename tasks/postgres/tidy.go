package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Tidy drops the unfinished copies of a database that a killed run has left on
// the server, where each takes as much disk as the original: those of
// postgres/stage, which are marked from the statement that makes them until they
// are complete, and those of schema/rehearse and schema/status, which exist for
// one call only. A complete copy and a replaced database are never dropped, and
// nothing is while another phasegate is at work on the database.
//
// The next postgres/stage, postgres/swap or schema/rehearse would do the same: as
// a hook of a rollback this task does it where none of them comes.
type Tidy struct {
	// DSN is the connection string of the database whose copies they are: the
	// server's own address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`
}

// A TidyReceipt names what was dropped.
type TidyReceipt struct {
	Database string   `json:"database"` // name of the database whose copies they were
	Dropped  []string `json:"dropped"`  // names of the copies
}

// Check looks whether the server can be reached.
func (t *Tidy) Check(ctx context.Context, _ *task.Env) error {
	conn, err := pg.ConnectSystem(ctx, t.DSN, pg.Maintenance)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	return pg.Direct(ctx, conn)
}

// Run drops the copies.
func (t *Tidy) Run(ctx context.Context, env *task.Env) (TidyReceipt, error) {
	config, err := pg.Parse(t.DSN)
	if err != nil {
		return TidyReceipt{}, err
	}
	lock, err := pg.Acquire(ctx, t.DSN)
	if err != nil {
		return TidyReceipt{}, err
	}
	defer lock.Release()
	receipt := TidyReceipt{Database: config.Database, Dropped: []string{}}
	left, err := leftBehind(ctx, lock.Conn(), config.Database)
	if err != nil {
		return receipt, err
	}
	for _, name := range left {
		if err := dropLeft(ctx, lock.Conn(), name, env.Log); err != nil {
			return receipt, err
		}
		receipt.Dropped = append(receipt.Dropped, name)
	}
	if len(left) == 0 {
		return receipt, task.Skip("no unfinished copy is left")
	}
	return receipt, nil
}

// Preview says what would be dropped.
func (t *Tidy) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	conn, err := pg.ConnectSystem(ctx, t.DSN, pg.Maintenance)
	if err != nil {
		return task.Preview{}, err
	}
	defer pg.Close(conn)
	config, err := pg.Parse(t.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	left, err := leftBehind(ctx, conn, config.Database)
	if err != nil {
		return task.Preview{}, err
	}
	does := []string{}
	for _, name := range left {
		does = append(does, "drop the unfinished copy "+name)
	}
	if len(does) == 0 {
		does = append(does, "nothing, unless a copy is left unfinished until then")
	}
	return task.Preview{Does: does}, nil
}

// leftBehind lists the copies of the live database that belong to no run that is
// at work, if the caller holds the lock.
func leftBehind(ctx context.Context, conn *pgx.Conn, live string) ([]string, error) {
	left, err := unfinishedCopies(ctx, conn, live)
	if err != nil {
		return nil, err
	}
	for _, suffix := range []string{pg.RehearsalCopy, pg.ScratchCopy} {
		d, err := lookUp(ctx, conn, pg.CopyName(live, suffix))
		if err != nil {
			return nil, fmt.Errorf("look for unfinished copies: %w", err)
		}
		if d.found {
			left = append(left, d.name)
		}
	}
	slices.Sort(left)
	return left, nil
}
