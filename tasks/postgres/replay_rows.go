package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/pg"
)

// printing makes the session print values as the salvage did. Where names are
// looked for is left as it is, since triggers may rely on it. Row level security
// is off so that the server refuses a statement from which it would hide rows: a
// row that is hidden is not one that is gone.
const printing = `
	set local timezone to 'UTC'; set local datestyle to 'ISO'; set local intervalstyle to 'postgres'; set local extra_float_digits to 3;
	set local bytea_output to 'hex'; set local standard_conforming_strings to on; set local statement_timeout to 0;
	set local idle_in_transaction_session_timeout to 0; set local row_security to off; `

// apply makes the changes in one transaction: all at once, or, if that fails,
// one by one.
func (r *replaying) apply(ctx context.Context, batch []recorded) error {
	begin := "begin; " + printing + pg.LockTimeout(r.replay.LockWait)
	if _, err := r.conn.Exec(ctx, begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if r.conn.PgConn().TxStatus() != 'I' {
			_, _ = r.conn.Exec(context.WithoutCancel(ctx), "rollback")
		}
	}()
	before := r.state
	err := r.atOnce(ctx, batch)
	if err == nil {
		_, err = r.conn.Exec(ctx, "commit")
	}
	if said := new(pgconn.PgError); err == nil || !errors.As(err, &said) {
		return err
	}
	if _, err := r.conn.Exec(ctx, "rollback; "+begin+"; set constraints all immediate"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	r.state = before
	if err := r.report.Truncate(r.state.Length); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	for _, c := range batch {
		if err := r.one(ctx, c); err != nil {
			return err
		}
	}
	_, err = r.conn.Exec(ctx, "commit")
	return err
}

// atOnce sends all changes in one message, and looks at those that changed
// nothing afterwards.
func (r *replaying) atOnce(ctx context.Context, batch []recorded) error {
	var sql []byte
	var sent []recorded
	for _, c := range batch {
		if c.Op == clashRow {
			continue
		}
		sql = c.change(r.tables[c.Table]).appendSQL(sql)
		sent = append(sent, c)
	}
	results, err := r.conn.PgConn().Exec(ctx, string(sql)).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != len(sent) {
		return fmt.Errorf("the server answered %d changes, not %d", len(results), len(sent))
	}
	for i, c := range sent {
		if err := r.judge(ctx, c, results[i].CommandTag.RowsAffected()); err != nil {
			return err
		}
	}
	return r.clashes(batch)
}

// clashes reports the changes that were made in both databases.
func (r *replaying) clashes(batch []recorded) error {
	for _, c := range batch {
		if c.Op == clashRow {
			if err := r.conflict(c, "the row was written in both databases"); err != nil {
				return err
			}
		}
	}
	return nil
}

// one makes one change and goes on if the server refuses it.
func (r *replaying) one(ctx context.Context, c recorded) error {
	if c.Op == clashRow {
		return r.clashes([]recorded{c})
	}
	if _, err := r.conn.Exec(ctx, "savepoint change"); err != nil {
		return err
	}
	results, err := r.conn.PgConn().Exec(ctx, string(c.change(r.tables[c.Table]).appendSQL(nil))).ReadAll()
	if err == nil {
		// Looking at the row may be refused as well.
		err = r.judge(ctx, c, affected(results))
	}
	said, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case refused:
		if _, err := r.conn.Exec(ctx, "rollback to savepoint change"); err != nil {
			return err
		}
		if said.Code == "23503" || said.Code == "23505" { // a foreign key, a unique value
			r.state.Blocked++
		}
		// The server's detail quotes values: the report has the key, and the file the rest.
		return r.conflict(c, fmt.Sprintf("%s (SQLSTATE %s)", said.Message, said.Code))
	case err != nil:
		return err
	}
	_, err = r.conn.Exec(ctx, "release savepoint change")
	return err
}

// affected is how many rows the statements changed.
func affected(results []*pgconn.Result) (rows int64) {
	for _, result := range results {
		rows += result.CommandTag.RowsAffected()
	}
	return rows
}

// judge counts a change that was made, or finds out why it was not.
func (r *replaying) judge(ctx context.Context, c recorded, rows int64) error {
	if rows > 0 {
		r.state.Applied++
		return nil
	}
	change := c.change(r.tables[c.Table])
	query, reason := change.present()
	var present bool
	if err := r.conn.QueryRow(ctx, query).Scan(&present); err != nil {
		return fmt.Errorf("look at a row of %s: %w", c.Table, err)
	}
	if !present {
		if c.Op == insertRow {
			r.state.Blocked++
		}
		return r.conflict(c, reason)
	}
	if r.state.Pass == 0 {
		r.state.Present++
	}
	return nil
}

// present is a query whether the change is there already, and what is the matter
// if it is not.
func (c rowChange) present() (query, reason string) {
	table := c.pair.live.quoted
	switch c.op {
	case insertRow:
		return "select " + c.isThere(),
			"another row with its key or another unique value of it is there"
	case updateRow:
		var changed []string
		for _, name := range c.pair.counted() {
			if value := c.field(c.new, name); value != nil {
				changed = append(changed, name)
			}
		}
		return fmt.Sprintf("select exists (select from only %s where %s and %s)", table, c.hasKey(c.old), c.same(changed, c.new)),
			"the row is gone, or was changed since"
	case deleteRow:
		return fmt.Sprintf("select not exists (select from only %s where %s)", table, c.hasKey(c.old)), "the row was changed since"
	}
	return fmt.Sprintf("select count(*) = %d from only %s where %s", c.count, table, c.same(c.pair.columns, c.new)),
		fmt.Sprintf("there are not %d rows of this kind any more", c.was)
}

// conflict puts a change that was left alone into the report.
func (r *replaying) conflict(c recorded, reason string) error {
	line, err := json.Marshal(struct {
		Table  string          `json:"table"`
		Op     operation       `json:"op"`
		Key    json.RawMessage `json:"key,omitempty"`
		At     int64           `json:"at"` // byte of the file at which the change is
		Reason string          `json:"reason"`
	}{c.Table, c.Op, c.Key, c.at, reason})
	if err != nil {
		return err
	}
	n, err := r.report.WriteAt(append(line, '\n'), r.state.Length)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	r.state.Length += int64(n)
	r.state.Conflicts++
	return nil
}

// save puts the report onto the disk, and what it is good for into the journal.
func (r *replaying) save() error {
	if err := r.report.Sync(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return r.env.Save(r.state)
}
