package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// copying is a copy in the making.
type copying struct {
	stage    *Stage
	env      *task.Env
	conn     *pgx.Conn // to the maintenance database
	live     database
	building string // the copy's name until it is complete
	snapshot string // the moment of the live database that it holds
	limit    int    // the connection limit that it will have then
}

// begin settles the copy's names and saves them before there is a database of
// that name: only what an earlier call has saved may be dropped as its leftover.
func (c *copying) begin(ctx context.Context, receipt *StageReceipt, now time.Time) (err error) {
	if err := dropUnfinished(ctx, c.conn, c.live.name, c.env.Log); err != nil {
		return err
	}
	if c.building = receipt.Building; c.building != "" {
		return c.drop(ctx)
	}
	name, err := c.stage.freeName(ctx, c.conn, c.live.name, now)
	if err != nil {
		return err
	}
	c.building = name + building
	receipt.Building = c.building
	return c.env.Save(receipt)
}

// build makes the copy under its first name, by the method that works out.
func (c *copying) build(ctx context.Context, receipt *StageReceipt) (err error) {
	defer func() {
		if err != nil {
			if left := c.drop(context.WithoutCancel(ctx)); left != nil {
				c.env.Log.Warn("an unfinished copy is left", "database", c.building, "error", left)
			}
		}
	}()
	if err := c.choose(ctx, receipt); err != nil {
		return err
	}
	made, err := lookUp(ctx, c.conn, c.building)
	if err != nil {
		return err
	}
	receipt.Bytes, receipt.Snapshot = made.bytes, c.snapshot
	kept, err := readProperties(ctx, c.conn, c.live.oid)
	if err != nil {
		return err
	}
	c.limit, kept.connectionLimit = kept.connectionLimit, unfinished
	return kept.apply(ctx, c.conn, made)
}

// choose makes the copy by the method that is asked for, or by the one that
// works, and says why.
func (c *copying) choose(ctx context.Context, receipt *StageReceipt) (err error) {
	switch method := c.stage.Method; {
	case method == Restore:
		receipt.Method, receipt.Why = string(Restore), "asked for"
		c.say(receipt)
		receipt.Tables, err = c.restore(ctx)
		return err
	case method == Template:
		receipt.Method, receipt.Why = string(Template), "asked for"
	default:
		receipt.Method, receipt.Why = string(Template), "nobody is connected to the live database, so that the copy has every write"
	}
	receipt.Tables, err = c.clone(ctx)
	if err == nil {
		c.say(receipt)
		return nil
	}
	reason := unclonable(err)
	if reason == "" || c.stage.Method == Template || c.stage.Backup == "" {
		return err
	}
	receipt.Method, receipt.Why = string(Restore), "a clone was not possible: "+reason
	c.say(receipt)
	c.env.Log.Warn("what is written to the live database after the backup was taken is not in the copy")
	if err := c.drop(ctx); err != nil {
		return err
	}
	receipt.Tables, err = c.restore(ctx)
	return err
}

// say tells by which method the copy is made, and why.
func (c *copying) say(receipt *StageReceipt) {
	c.env.Log.Info("the copy is made", "method", receipt.Method, "why", receipt.Why)
}

// unclonable is why the live database cannot be cloned where a backup can be
// restored instead, "" for another failure.
func unclonable(err error) string {
	if busy, ok := errors.AsType[*busyError](err); ok {
		return "there was " + busy.Error()
	}
	if said, ok := errors.AsType[*pgconn.PgError](err); ok && said.Code == "42501" { // insufficient_privilege
		return said.Message
	}
	return ""
}

// finish closes the copy and gives it its name. What the receipt says is saved
// before: a later call finds the name and needs no more.
func (c *copying) finish(ctx context.Context, receipt StageReceipt) error {
	if err := c.env.Save(receipt); err != nil {
		return err
	}
	_, err := c.conn.Exec(ctx, fmt.Sprintf(`
		begin;
		alter database %[1]s allow_connections false;
		alter database %[1]s connection limit %[3]d;
		alter database %[1]s rename to %[2]s;
		commit`, quote(c.building), quote(receipt.complete().Database), c.limit))
	if err != nil {
		return fmt.Errorf("close and name the copy: %w", err)
	}
	return nil
}

// drop removes the unfinished copy.
func (c *copying) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn := c.conn
	if conn.IsClosed() {
		// The context that has ended took the connection with it.
		fresh, err := pg.ConnectSystem(ctx, c.stage.DSN, pg.Maintenance)
		if err != nil {
			return err
		}
		defer pg.Close(fresh)
		conn = fresh
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("drop database if exists %s with (force)", quote(c.building))); err != nil {
		return fmt.Errorf("drop the unfinished copy %s: %w", c.building, err)
	}
	return nil
}

// A busyError is a live database that is not left alone.
type busyError struct{ who string }

func (e *busyError) Error() string { return e.who }

// clone copies the live database as a template, again and again until it is left
// alone or the wait is over, and returns the number of tables.
func (c *copying) clone(ctx context.Context) (int64, error) {
	major, err := serverMajor(ctx, c.conn)
	if err != nil {
		return 0, err
	}
	statement := fmt.Sprintf("create database %s template %s owner %s connection limit %d", quote(c.building), quote(c.live.name), quote(c.live.owner), unfinished)
	if major >= 15 {
		// Before version 15 there is no other way. Copying files takes a third
		// of the time of copying through the write-ahead log.
		statement += " strategy file_copy"
	}
	deadline := time.Now().Add(c.stage.Wait)
	for {
		tables, err := c.tryClone(ctx, statement)
		var busy *busyError
		if err == nil || !errors.As(err, &busy) {
			return tables, err
		}
		if time.Now().After(deadline) {
			return 0, task.Hint(fmt.Errorf("nobody may be connected to it while it is cloned, but for %s there was %w", c.stage.Wait, busy),
				"stop the application and other clients, raise wait, or give a backup to restore")
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tryClone makes one attempt. A copy that differs from the live database, since
// somebody wrote to it after all, is dropped.
func (c *copying) tryClone(ctx context.Context, statement string) (int64, error) {
	others, err := sessions(ctx, c.conn, c.live.name)
	if err != nil {
		return 0, err
	}
	if len(others) > 0 {
		return 0, &busyError{describe(others)}
	}
	if _, err := c.conn.Exec(ctx, statement); err != nil {
		if said, ok := errors.AsType[*pgconn.PgError](err); ok && said.Code == "55006" {
			return 0, &busyError{said.Detail}
		}
		return 0, fmt.Errorf("clone it: %w", err)
	}
	if c.snapshot, err = cloned(ctx, c.conn, c.building); err != nil {
		return 0, err
	}
	tables, err := c.compareFiles(ctx)
	if _, busy := errors.AsType[*busyError](err); busy {
		return 0, errors.Join(err, c.drop(ctx))
	}
	return tables, err
}

// cloned returns the snapshot that a clone holds which has just been made. The
// server gives the transaction that clones its number when nobody is in the live
// database any more, and lets nobody in before it ends: what has a lower number
// there is in the clone, and whatever is written later has a higher one. What is
// open in other databases meanwhile does not matter, other than in a snapshot
// that is taken before or behind.
func cloned(ctx context.Context, conn *pgx.Conn, name string) (string, error) {
	var low, now int64
	err := conn.QueryRow(ctx, `
		select xmin::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
		  from pg_database where datname = $1`, name).Scan(&low, &now)
	if err != nil {
		return "", fmt.Errorf("read the number of the transaction that cloned it: %w", err)
	}
	// The row has the low half of the number, which is near the present one.
	number := now + int64(int32(uint32(low)-uint32(now))) //nolint:gosec // modulo 2^32, as the server counts
	return fmt.Sprintf("%d:%[1]d:", number), nil
}

// compareFiles compares every table, index and sequence of the live database
// with the clone's: the same number of them, with the same identity and the same
// size. The server copies files, so that what can go wrong is a file that is
// missing or short, or one that was written to after it was copied.
func (c *copying) compareFiles(ctx context.Context) (int64, error) {
	live, tables, err := c.fingerprint(ctx, c.live.name)
	if err != nil {
		return 0, err
	}
	copied, _, err := c.fingerprint(ctx, c.building)
	if err != nil {
		return 0, err
	}
	if live != copied {
		return 0, &busyError{"somebody who wrote to it while it was cloned"}
	}
	return tables, nil
}

// fingerprint is a hash over the identity and size of all that is stored in a
// database, but for the system's own catalogs, which a look changes.
func (c *copying) fingerprint(ctx context.Context, name string) (hash string, tables int64, err error) {
	conn, err := pg.ConnectSystem(ctx, c.stage.DSN, name)
	if err != nil {
		return "", 0, err
	}
	defer pg.Close(conn)
	err = conn.QueryRow(ctx, `
		select coalesce(md5(string_agg(concat_ws(' ', oid, relname, relkind, relfilenode, pg_relation_size(oid)), ',' order by oid)), ''),
		       count(*) filter (where relkind = 'r')
		  from pg_class where oid >= 16384 and relkind in ('r', 'i', 't', 'm', 'S') and relpersistence <> 't'`).Scan(&hash, &tables)
	if err != nil {
		return "", 0, fmt.Errorf("compare the clone with it: %w", err)
	}
	return hash, tables, nil
}
