package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Replay applies what postgres/salvage wrote down to the live database: all of
// it, or the changes of chosen tables. A row is changed only if it still is what
// the change was made to; whatever else is found in its place is left alone and
// reported as a conflict, with its key, its place in the file and the reason.
// Conflicts do not fail the step.
//
// Changes are made in the order of the file, some hundred in one transaction, by
// plain statements: triggers fire as they do for the application. Rows that refer
// to later ones, or take over a unique value that a later change sets free, are
// tried again until nothing more can be applied, a hundred times at most. At the
// end the sequences of the tables' columns are moved behind the highest value.
// What was applied before is found and not applied twice, so that this can be
// killed at any moment and called again.
type Replay struct {
	// DSN is the connection string of the live database: the server's own
	// address, not a pooler's. No row of the tables may be hidden from its role by
	// row level security.
	DSN redact.Secret `with:"dsn,required"`

	// File holds the changes: ${{ steps.ID.file }} of a postgres/salvage step.
	File string `with:"file,required"`

	// SHA256 is what the file must have: ${{ steps.ID.sha256 }} of the step. It
	// is not looked at if it is empty.
	SHA256 string `with:"sha256"`

	// Tables are the tables whose changes are applied, as SCHEMA.TABLE in SQL,
	// quoted where SQL wants it. Default all.
	Tables []string `with:"tables"`

	// Batch is how many changes one transaction makes, fewer where they are more
	// than 16 MB of the file. Default 500.
	Batch int `with:"batch"`

	// LockWait is how long a change waits for a row that the application holds
	// before it counts as a conflict. Default 10s.
	LockWait time.Duration `with:"lock_wait"`
}

// A ReplayReceipt tells what was applied.
type ReplayReceipt struct {
	Applied   int64  `json:"applied"`   // changes made
	Present   int64  `json:"present"`   // changes that were there already
	Conflicts int64  `json:"conflicts"` // changes left alone, one a line of the report
	Skipped   int64  `json:"skipped"`   // changes of tables that were not chosen
	Report    string `json:"report"`    // path of the report of conflicts
	TookMS    int64  `json:"took_ms"`   // milliseconds
}

// replayState is what is saved after each transaction.
type replayState struct {
	ReplayReceipt
	Source  string `json:"source"`       // SHA-256 of the file
	Offset  int64  `json:"offset"`       // in the file, up to which it is done
	Length  int64  `json:"length"`       // of the report so far
	Pass    int64  `json:"pass"`         // how often the file was read to its end
	Blocked int64  `json:"blocked"`      // conflicts of this pass with a row that is not there yet, or not yet gone
	Before  int64  `json:"applied_till"` // changes made when this pass began
	Done    bool   `json:"done"`
}

// Validate fails on values that make no sense.
func (r *Replay) Validate() error {
	switch {
	case r.File == "":
		return task.Hint(errors.New("file is empty"), "name the file of a postgres/salvage step")
	case r.Batch < 1:
		return errors.New("batch is less than 1")
	case r.LockWait <= 0:
		return errors.New("lock_wait is not positive")
	}
	return nil
}

// Check looks at the live database. The file need not be there yet.
func (r *Replay) Check(ctx context.Context, _ *task.Env) error {
	conn, err := pg.Connect(ctx, r.DSN)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	return pg.Direct(ctx, conn)
}

// Run applies the changes that earlier calls have not.
func (r *Replay) Run(ctx context.Context, env *task.Env) (ReplayReceipt, error) {
	started := time.Now()
	if ctx.Err() != nil {
		return ReplayReceipt{}, context.Cause(ctx)
	}
	state, _, err := task.Saved[replayState](env)
	if err != nil {
		return ReplayReceipt{}, err
	}
	sum, err := r.sum()
	if err != nil {
		return ReplayReceipt{}, err
	}
	if state.Source != sum {
		state = replayState{Source: sum}
		state.Report = filepath.Join(env.Dir, "replay-conflicts.ndjson")
	}
	if state.Done {
		return state.ReplayReceipt, task.Skip("replayed by an earlier call")
	}
	lock, err := pg.Acquire(ctx, r.DSN)
	if err != nil {
		return ReplayReceipt{}, err
	}
	defer lock.Release()
	conn, err := pg.Connect(ctx, r.DSN)
	if err != nil {
		return ReplayReceipt{}, err
	}
	defer pg.Close(conn)
	run := &replaying{replay: r, env: env, conn: conn, state: state}
	if err := run.all(ctx); err != nil {
		return run.state.ReplayReceipt, fmt.Errorf("replay %s: %w", r.File, err)
	}
	run.state.TookMS = time.Since(started).Milliseconds()
	if n := run.state.Conflicts; n > 0 {
		env.Log.Warn("some changes were left alone: a person has to decide on them", "conflicts", n, "report", run.state.Report)
	}
	return run.state.ReplayReceipt, env.Save(run.state)
}

// sum returns the checksum of the file.
func (r *Replay) sum() (string, error) {
	sum, err := sha256File(r.File)
	if err != nil {
		return "", task.Hint(fmt.Errorf("read the changes: %w", err), "name the file of a postgres/salvage step, on the machine that wrote it")
	}
	if r.SHA256 != "" && r.SHA256 != sum {
		return "", task.Hint(fmt.Errorf("the file %s is not what was written: its SHA-256 is %s, not %s", r.File, sum, r.SHA256),
			"run postgres/salvage again")
	}
	return sum, nil
}

// replaying is a replay under way.
type replaying struct {
	replay *Replay
	env    *task.Env
	conn   *pgx.Conn
	state  replayState
	size   int64 // of the file
	tables map[string]*pair
	report *os.File
}

// mostPasses is how often the file is read. Of a long chain of rows that wait for
// each other, such as positions that all moved by one, a pass gets one or two
// done: without an end the time would grow with the square of its length.
const mostPasses = 100

// all reads the file until nothing more of it can be applied.
func (r *replaying) all(ctx context.Context) (err error) {
	file, err := os.Open(r.replay.File)
	if err != nil {
		return err
	}
	defer file.Close()
	if r.report, err = openReport(r.state.Report, r.state.Length); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.report.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r.size = info.Size()
	for {
		if err := r.pass(ctx, file); err != nil {
			return err
		}
		if r.state.Blocked == 0 || r.state.Applied == r.state.Before {
			break
		}
		if r.state.Pass == mostPasses-1 {
			r.env.Log.Warn("changes still wait for each other: another replay of the file gets further", "tried", mostPasses, "waiting", r.state.Blocked)
			break
		}
		// What was applied may be what the others waited for.
		r.state.Pass++
		r.state.Offset, r.state.Length, r.state.Conflicts, r.state.Blocked, r.state.Before = 0, 0, 0, 0, r.state.Applied
		if err := r.report.Truncate(0); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		if err := r.env.Save(r.state); err != nil {
			return err
		}
	}
	if err := r.sequences(ctx); err != nil {
		return err
	}
	r.state.Done = true
	return nil
}

// openReport opens the report at the length that is known to be right.
func openReport(path string, length int64) (*os.File, error) {
	report, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	if err := report.Truncate(length); err != nil {
		return nil, errors.Join(fmt.Errorf("write the report: %w", err), report.Close())
	}
	return report, nil
}

// chosen tells whether a table's changes are to be applied.
func (r *replaying) chosen(table string) bool {
	return len(r.replay.Tables) == 0 || slices.Contains(r.replay.Tables, table)
}

// sequences moves the sequences of the tables' columns behind the highest value,
// so that the application is not given one that is taken.
func (r *replaying) sequences(ctx context.Context) error {
	for table, p := range r.tables {
		if !r.chosen(table) {
			continue
		}
		found, err := r.owned(ctx, table, p.columns)
		if err != nil {
			return fmt.Errorf("look for the sequences of table %s: %w", table, err)
		}
		for _, s := range found {
			if err := r.raise(ctx, table, s); err != nil {
				return fmt.Errorf("move sequence %s: %w", s.name, err)
			}
		}
	}
	return nil
}

// A sequence belongs to a column. Its name is SQL.
type sequence struct{ column, name string }

// owned returns the sequences of a table's columns. A partition's belong to the
// table that it is part of, and those of an inherited column to the parent.
func (r *replaying) owned(ctx context.Context, table string, columns []string) ([]sequence, error) {
	rows, err := r.conn.Query(ctx, `
		with recursive line(oid) as (
		  select $1::regclass::oid union select i.inhparent from pg_inherits i join line l on i.inhrelid = l.oid)
		select column_name, sequence
		  from line l
		  join pg_attribute a on a.attrelid = l.oid and a.attname = any($2::text[])
		 cross join lateral (select a.attname::text, pg_get_serial_sequence(l.oid::regclass::text, a.attname)) s(column_name, sequence)
		 where sequence is not null order by 1, 2`, table, columns)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sequence, err error) {
		err = row.Scan(&s.column, &s.name)
		return s, err
	})
}

// mostTaken is how many values are taken from a sequence to raise it.
const mostTaken = 100_000

// raise moves a sequence behind the highest value of its column. It takes values
// until it is there, since setting it could put it back behind what the application
// has taken meanwhile. Where that would be too many, the application does not come
// so far between the look at the sequence and the setting, which are one statement.
func (r *replaying) raise(ctx context.Context, table string, s sequence) error {
	var highest *int64
	if err := r.conn.QueryRow(ctx, fmt.Sprintf("select max(%s)::bigint from %s", quote(s.column), table)).Scan(&highest); err != nil || highest == nil {
		return err
	}
	_, err := r.conn.Exec(ctx, fmt.Sprintf(`
		select case when missing > %d then setval(%s, %d) else (select max(nextval(%[2]s)) from generate_series(1, missing)) end
		  from (select ceil((%[3]d - s.last_value::numeric) / q.seqincrement) + (not s.is_called)::int as missing
		          from %[4]s s, pg_sequence q
		         where q.seqrelid = %[2]s::regclass and q.seqincrement > 0 and %[3]d > s.last_value - (not s.is_called)::int) m`,
		mostTaken, literal(s.name), *highest, s.name))
	return err
}
