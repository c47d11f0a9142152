package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Swap puts the database that postgres/stage made in the live one's place, by
// renaming both in one transaction. It takes milliseconds, whatever their size;
// all sessions of the live database are ended for it, and clients that connect
// again reach the other database. Whatever fails, the live database is open
// afterwards; if the process is killed within those milliseconds, the next call
// opens it.
//
// Prepared transactions, logical replication slots and subscriptions of the live
// database are refused before anything is touched, and so are sessions that the
// account may not end.
//
// The database that was replaced is kept and never dropped. It is closed to
// connections, so that no client goes on writing to it and nothing changes what
// may have to be salvaged; ALTER DATABASE ... ALLOW_CONNECTIONS true opens it. A
// swap to it takes this one back.
type Swap struct {
	// DSN is the connection string of the live database: the server's own
	// address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`

	// To is the database that takes the live one's place: ${{
	// steps.ID.database }} of a postgres/stage step.
	To string `with:"to,required"`

	// Timeout is how long sessions have to end once they are told to. The live
	// database takes no connections meanwhile. Default 10s.
	Timeout time.Duration `with:"timeout,limit"`

	// RunID makes the name of the database that was replaced,
	// DATABASE_replaced_RUN: ${{ run.id }}. The time is taken if it is empty.
	RunID string `with:"run"`
}

// A SwapReceipt tells which database is where.
type SwapReceipt struct {
	Database string `json:"database"`  // name of the live database, which is now the one that was staged
	Restored string `json:"restored"`  // name that the staged database had
	Replaced string `json:"replaced"`  // name that the database which was live has now
	Boundary string `json:"boundary"`  // number of the first transaction that may be a write to the live database after the swap, "" if it is not known
	Sessions int64  `json:"sessions"`  // number of sessions that were ended
	ClosedMS int64  `json:"closed_ms"` // how long the live database took no connections, in milliseconds
	TookMS   int64  `json:"took_ms"`   // milliseconds
}

// Validate fails on values that make no sense.
func (s *Swap) Validate() error {
	switch {
	case s.To == "":
		return task.Hint(errors.New("to is empty"), "name the database of a postgres/stage step that got to its end")
	case s.Timeout <= 0:
		return errors.New("timeout is not positive")
	}
	return nil
}

// Check looks for whatever would stand in the way of the renames. The staged
// database need not be there yet.
func (s *Swap) Check(ctx context.Context, _ *task.Env) error {
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return err
	}
	conn, err := pg.ConnectSystem(ctx, s.DSN, pg.Maintenance)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	if err := pg.Direct(ctx, conn); err != nil {
		return err
	}
	return swappable(ctx, conn, config.Database, s.To)
}

// Run swaps the databases, unless an earlier call has.
func (s *Swap) Run(ctx context.Context, env *task.Env) (SwapReceipt, error) {
	started := time.Now()
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return SwapReceipt{}, err
	}
	lock, err := pg.Acquire(ctx, s.DSN)
	if err != nil {
		return SwapReceipt{}, err
	}
	defer lock.Release()
	defer clearAway(ctx, lock.Conn(), config.Database, env.Log)
	r := &renaming{swap: s, conn: lock.Conn()}
	err = r.run(ctx, env, config.Database, started)
	if err != nil && r.begun {
		// This call or an earlier one has closed the live database, or may have.
		err = r.settle(err)
	}
	if err != nil {
		return SwapReceipt{}, fmt.Errorf("put database %s in the place of %s: %w", s.To, config.Database, err)
	}
	if r.before {
		return r.state.SwapReceipt, task.Skip(s.To + " is in the place of " + config.Database + " since an earlier call")
	}
	r.state.TookMS = time.Since(started).Milliseconds()
	env.Log.Warn("the replaced database is kept, closed to connections: what was written to it since the copy is in it",
		"database", r.state.Replaced)
	return r.state.SwapReceipt, env.Save(r.state)
}
