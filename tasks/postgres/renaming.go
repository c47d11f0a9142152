package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// swapState is what is saved before the first change: the receipt, and the
// identity of the two databases, which a rename leaves as it is.
type swapState struct {
	SwapReceipt
	LiveOID   uint32 `json:"live_oid"`
	StagedOID uint32 `json:"staged_oid"`
}

// A renaming is a swap under way. The renames are one transaction, so there are
// only three states in which it can have been left: nothing done, the live
// database closed, all done. The databases' identity tells which.
type renaming struct {
	swap   *Swap
	conn   *pgx.Conn // to the maintenance database
	state  swapState
	ended  []int32 // processes of the sessions that were told to end
	begun  bool    // the live database may have been closed by us
	before bool    // an earlier call has swapped them
}

// run brings the swap to its end, from whichever state it is in.
func (r *renaming) run(ctx context.Context, env *task.Env, name string, now time.Time) error {
	saved, ok, err := task.Saved[swapState](env)
	if err != nil {
		return err
	}
	r.state, r.begun = saved, ok && saved.LiveOID != 0
	r.state.Database, r.state.Restored = name, r.swap.To
	if err := r.resolve(ctx, now); err != nil {
		return err
	}
	if r.before {
		_, err := openDatabase(ctx, r.conn, name)
		return err
	}
	if err := pg.Direct(ctx, r.conn); err != nil {
		return err
	}
	if err := swappable(ctx, r.conn, name, r.swap.To); err != nil {
		return err
	}
	if err := env.Save(r.state); err != nil {
		return err
	}
	r.begun = true
	if err := carryOver(ctx, r.conn, name, r.swap.To); err != nil {
		// The data is what matters now; the copy has what the live database had when it was staged.
		env.Log.Warn("settings or privileges of the live database that were changed since the copy are not carried over", "error", err)
	}
	return r.exchange(ctx)
}

// resolve finds the databases, and out whether they have been swapped before.
func (r *renaming) resolve(ctx context.Context, now time.Time) error {
	live, err := lookUp(ctx, r.conn, r.state.Database)
	if err != nil {
		return err
	}
	staged, err := lookUp(ctx, r.conn, r.state.Restored)
	if err != nil {
		return err
	}
	switch {
	case !live.found:
		return task.Hint(fmt.Errorf("there is no database %s", r.state.Database), "check the database name at the end of the connection string")
	case r.begun && live.oid == r.state.StagedOID:
		r.before = true
		return nil
	case r.begun && (live.oid != r.state.LiveOID || staged.oid != r.state.StagedOID):
		return errors.New("one of the two is another database than when an earlier call began")
	case r.begun:
		return nil
	case !staged.found:
		return r.swappedByAnotherStep(ctx, live, now)
	}
	r.state.LiveOID, r.state.StagedOID = live.oid, staged.oid
	if err := r.conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text").Scan(&r.state.Boundary); err != nil {
		return fmt.Errorf("read the number of the transaction: %w", err)
	}
	for i := 1; ; i++ {
		r.state.Replaced = companion(live.name, replacedKind, r.swap.RunID, now, i)
		if free, err := unused(ctx, r.conn, r.state.Replaced); err != nil || free {
			return err
		}
	}
}

const replacedKind = "_replaced_"

// swappedByAnotherStep tells a swap that another step of the same run has done
// from a staged database that was never there.
func (r *renaming) swappedByAnotherStep(ctx context.Context, live database, now time.Time) error {
	kept, err := lookUp(ctx, r.conn, companion(live.name, replacedKind, r.swap.RunID, now, 1))
	if err != nil {
		return err
	}
	if r.swap.RunID == "" || !kept.found {
		return task.Hint(fmt.Errorf("there is no database %s", r.state.Restored), "name the database of a postgres/stage step that has run")
	}
	r.state.Replaced, r.before = kept.name, true
	return nil
}

// exchange closes the live database, ends its sessions and renames.
func (r *renaming) exchange(ctx context.Context) error {
	closed := time.Now()
	for _, name := range []string{r.state.Database, r.state.Restored} {
		if _, err := r.conn.Exec(ctx, fmt.Sprintf("alter database %s allow_connections false", quote(name))); err != nil {
			return fmt.Errorf("close database %s: %w", name, err)
		}
	}
	if err := r.renameAlone(ctx); err != nil {
		return err
	}
	r.state.ClosedMS = time.Since(closed).Milliseconds()
	return nil
}

// A rename that finds somebody waits a tenth of a second before it looks again,
// with clients shut out, although a client that is just being turned away is gone
// within a millisecond. So it gets that long at first, and twice as long each
// time, since a busy server may need it.
const (
	hasty  = 20 * time.Millisecond
	steady = 5 * time.Second
)

// renameAlone ends the sessions and renames, until both came off.
func (r *renaming) renameAlone(ctx context.Context) error {
	for patience := hasty; ; patience *= 2 {
		if err := r.endSessions(ctx); err != nil {
			return err
		}
		err := r.rename(ctx, min(patience, steady))
		if err == nil || patience > steady || !interrupted(err) {
			return err
		}
	}
}

// rename renames both databases, or neither within the time that each may take.
func (r *renaming) rename(ctx context.Context, patience time.Duration) error {
	_, err := r.conn.Exec(ctx, fmt.Sprintf(`
		begin; set local lock_timeout to 0; set local statement_timeout to %[4]d;
		alter database %[1]s rename to %[3]s;
		alter database %[2]s rename to %[1]s;
		set local statement_timeout to 0;
		alter database %[1]s allow_connections true;
		commit`, quote(r.state.Database), quote(r.state.Restored), quote(r.state.Replaced), patience.Milliseconds()))
	if err == nil {
		return nil
	}
	if interrupted(err) {
		_, rolled := r.conn.Exec(ctx, "rollback")
		err = errors.Join(err, rolled)
	}
	return fmt.Errorf("rename: %w", err)
}

// interrupted tells whether a statement failed for want of time or since somebody
// was connected.
func interrupted(err error) bool {
	said, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (said.Code == "57014" || said.Code == "55006") // query_canceled, object_in_use
}

// endSessions ends the sessions of both databases and waits until they are gone:
// also those that were let in before the databases were closed and come to be
// seen only now. It looks every two milliseconds.
func (r *renaming) endSessions(ctx context.Context) error {
	names := []string{r.state.Database, r.state.Restored}
	deadline := time.Now().Add(r.swap.Timeout)
	for {
		if err := r.terminate(ctx, names); err != nil {
			return err
		}
		left, err := sessions(ctx, r.conn, names...)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return task.Hint(fmt.Errorf("after %s there still is %s", r.swap.Timeout, describe(left)), "end these sessions, then try again")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// terminate tells the sessions to end that there are now, and counts those that it
// has not told before.
func (r *renaming) terminate(ctx context.Context, names []string) error {
	rows, err := r.conn.Query(ctx, `
		select pid, pg_terminate_backend(pid) from pg_stat_activity
		 where datname = any($1) and pid <> pg_backend_pid()
		   and (coalesce(backend_type, '') <> 'autovacuum worker' or (select rolsuper from pg_roles where rolname = current_user))`, names)
	if err != nil {
		return fmt.Errorf("end the sessions: %w", err)
	}
	var (
		pid  int32
		told bool
	)
	_, err = pgx.ForEachRow(rows, []any{&pid, &told}, func() error {
		if told && !slices.Contains(r.ended, pid) {
			r.ended = append(r.ended, pid)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the sessions: %w", err)
	}
	r.state.Sessions = int64(len(r.ended))
	return nil
}

// settle is called when the swap failed. It opens the live database, in whichever
// state the failure left it, also where the context has ended or the connection
// is lost. It returns nil if the swap was done all the same and only the server's
// answer got lost.
func (r *renaming) settle(failure error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	backend := r.conn.PgConn().PID()
	pg.Close(r.conn)
	for {
		live, err := r.open(ctx, backend)
		if err == nil && live.oid == r.state.StagedOID {
			return nil
		}
		if err == nil {
			return failure
		}
		select {
		case <-ctx.Done():
			return task.Hint(
				errors.Join(failure, fmt.Errorf("database %s may be closed to connections: %w", r.state.Database, err)),
				"run this again when the server can be reached, or run ALTER DATABASE "+quote(r.state.Database)+" ALLOW_CONNECTIONS true there")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// open opens the live database in a session of its own, and returns it. Before
// that, the session of the swap has to be gone: what it was last told to do may
// still be under way.
func (r *renaming) open(ctx context.Context, backend uint32) (database, error) {
	conn, err := pg.ConnectSystem(ctx, r.swap.DSN, pg.Maintenance)
	if err != nil {
		return database{}, err
	}
	defer pg.Close(conn)
	var alive int
	err = conn.QueryRow(ctx, `
		select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
		 where pid = $1 and usename = current_user and application_name = 'phasegate'`, int64(backend)).Scan(&alive)
	if err != nil {
		return database{}, fmt.Errorf("end the lost session of the swap: %w", err)
	}
	if alive > 0 {
		return database{}, errors.New("the lost session of the swap has not ended")
	}
	return openDatabase(ctx, conn, r.state.Database)
}

// openDatabase has a database take connections, and returns it.
func openDatabase(ctx context.Context, conn *pgx.Conn, name string) (database, error) {
	d, err := lookUp(ctx, conn, name)
	if err != nil || d.open || !d.found {
		return d, err
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("alter database %s allow_connections true", quote(name))); err != nil {
		return d, fmt.Errorf("open database %s: %w", name, err)
	}
	return d, nil
}
