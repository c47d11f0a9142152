package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Salvage writes down what was written to a database between its copy and the
// moment at which postgres/swap put the copy in its place: the rows inserted,
// updated and deleted, table by table. It compares the replaced database, which
// the swap has kept, with the live one, and needs neither triggers nor logical
// decoding. The application may be at work again meanwhile: with after, rows
// that were written after the swap are told from those that the swap took away.
//
// Only columns that both databases have are compared. What a migration had added
// holds data too: rows of new tables and values of new columns go into a file of
// their own, since the live database has no place for them.
//
// A table is compared by its primary key or another unique key, and as a
// multiset of rows where it has none: there an update is a row less and a row
// more. Sequences are not compared, and neither is the history of schema/apply,
// which is true of the replaced database alone. Large objects are compared and
// counted; the SQL names them in comments. They stay in the replaced database: to
// take one from there, open it with ALTER DATABASE ... ALLOW_CONNECTIONS true and
// use psql's \lo_export, then \lo_import in the live one, which gives it a new oid.
//
// What only the live database has, and has written since the swap, it has inserted
// or has updated after it was deleted before the swap: nothing tells these apart.
// The rows are left as they are; they are counted as unsure, and a fourth file has
// their keys for a person to look through. Without after there are none.
//
// The files are in the run's directory, readable by their owner only. The
// first holds a change a line, as JSON, in an order in which postgres/replay can
// apply them; the second says the same in SQL, each statement guarded so that it
// changes nothing which is no longer as it was. If a row cannot be inserted, since
// another one has its key or a unique value, the SQL fails as a whole; replay
// reports the row and makes the other changes. Both hold what was in the rows.
type Salvage struct {
	// DSN is the connection string of the live database: the server's own
	// address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`

	// Replaced is the database that was replaced: ${{ steps.ID.replaced }} of a
	// postgres/swap step. It is opened for as long as two sessions take to
	// connect, and closed again.
	Replaced string `with:"replaced,required"`

	// Since is the moment that the copy holds: ${{ steps.ID.snapshot }} of the
	// postgres/stage step that made it. Rows older than it are passed over by
	// their transaction's number, which makes the search several times as fast.
	// Without it every row is compared. An earlier moment, such as that of a
	// postgres/backup step before a clone, is wrong: what was written between the
	// two and is in the copy counts as new. Where the live database has changed
	// or deleted such a row after the swap, it is reported although nothing of it
	// was lost. The same goes for transactions that were open at the moment of a
	// backup which the copy was restored from.
	Since string `with:"since"`

	// After is where the live database's own writes begin: ${{
	// steps.ID.boundary }} of the postgres/swap step. Without it every
	// difference counts as a write to the replaced database, which is right only
	// while nothing writes to the live one.
	After string `with:"after"`

	// IgnoreColumns are columns, as TABLE.COLUMN or as COLUMN for all tables, in
	// which a difference alone is no write, such as updated_at. Those that a
	// trigger sets before an update are found without being named here.
	IgnoreColumns []string `with:"ignore_columns"`

	// LockWait is how long the search waits for a table that a schema change
	// holds. Default 1m.
	LockWait time.Duration `with:"lock_wait"`
}

// A SalvageReceipt tells how much was written, and where it is.
type SalvageReceipt struct {
	Database      string          `json:"database"`            // name of the live database
	Replaced      string          `json:"replaced"`            // name of the database that was replaced
	File          string          `json:"file"`                // absolute path of the changes as JSON, one a line
	SHA256        string          `json:"sha256"`              // of that file
	SQLFile       string          `json:"sql_file"`            // absolute path of the changes as SQL
	SQLSHA256     string          `json:"sql_file_sha256"`     // of that file
	DroppedFile   string          `json:"dropped_file"`        // absolute path of what was in tables and columns that the live database does not have
	DroppedSHA256 string          `json:"dropped_file_sha256"` // of that file
	Inserted      int64           `json:"inserted"`            // rows
	Updated       int64           `json:"updated"`             // rows
	Deleted       int64           `json:"deleted"`             // rows
	Both          int64           `json:"both"`                // rows changed in both databases, which a person has to decide on
	Dropped       int64           `json:"dropped"`             // rows in the third file
	UnsureFile    string          `json:"unsure_file"`         // absolute path of the keys of rows that only the live database has
	UnsureSHA256  string          `json:"unsure_file_sha256"`  // of that file
	LargeInserted int64           `json:"large_inserted"`      // large objects that the live database lacks; -1 if this role may not read them all
	LargeChanged  int64           `json:"large_changed"`       // large objects that are not the same in both databases, whichever has changed them; -1 likewise
	LargeDeleted  int64           `json:"large_deleted"`       // large objects that only the live database has, and not by a write after the swap; -1 likewise
	Unsure        int64           `json:"unsure"`              // rows in the fourth file: inserted after the swap, or deleted before and updated after it
	Compared      int64           `json:"compared"`            // number of tables
	Tables        []SalvagedTable `json:"tables"`              // those in which something was found
	TookMS        int64           `json:"took_ms"`             // milliseconds
}

// A SalvagedTable tells what was written to one table.
type SalvagedTable struct {
	Table    string   `json:"table"`    // quoted name
	Method   string   `json:"method"`   // how the rows were found: xmin, content, merge; dropped if the live database lacks the table
	Inserted int64    `json:"inserted"` // rows
	Updated  int64    `json:"updated"`  // rows
	Deleted  int64    `json:"deleted"`  // rows
	Both     int64    `json:"both"`     // rows changed in both databases
	Dropped  int64    `json:"dropped"`  // rows in the file of what was dropped
	Unsure   int64    `json:"unsure"`   // rows in the file of what only the live database has
	Ignored  []string `json:"ignored"`  // columns in which a difference alone did not count
}

// salvageState is what is saved: the receipt, and whether the replaced database
// was closed when this step came to it.
type salvageState struct {
	SalvageReceipt
	Opened bool `json:"opened"`
}

// Validate fails on values that make no sense.
func (s *Salvage) Validate() error {
	if s.Replaced == "" {
		return task.Hint(errors.New("replaced is empty"), "name the database that a postgres/swap step has replaced")
	}
	if s.LockWait < time.Second {
		return errors.New("lock_wait is shorter than a second")
	}
	return nil
}

// since returns the number of the transaction that the snapshot begins with, 0
// if there is none.
func (s *Salvage) since() (uint64, error) {
	if s.Since == "" {
		return 0, nil
	}
	first, _, _ := strings.Cut(s.Since, ":")
	n, err := strconv.ParseUint(first, 10, 64)
	if err != nil || n == 0 {
		return 0, task.Hint(fmt.Errorf("since is %q, which is no snapshot", clip(s.Since)), "give ${{ steps.ID.snapshot }} of the postgres/stage step")
	}
	return n, nil
}

// after returns the number of the first transaction that counts as the live
// database's own, 0 if there is none.
func (s *Salvage) after() (uint64, error) {
	if s.After == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s.After, 10, 64)
	if err != nil || n == 0 {
		return 0, task.Hint(fmt.Errorf("after is %q, which is no transaction's number", clip(s.After)), "give ${{ steps.ID.boundary }} of a postgres/swap step")
	}
	return n, nil
}

// Check looks at the live database. The replaced one need not be there yet.
func (s *Salvage) Check(ctx context.Context, _ *task.Env) error {
	conn, err := pg.ConnectSystem(ctx, s.DSN, "")
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	if err := pg.Direct(ctx, conn); err != nil {
		return err
	}
	_, err = serverMajor(ctx, conn)
	return err
}

// Run writes the files, unless an earlier call of this step has.
func (s *Salvage) Run(ctx context.Context, env *task.Env) (SalvageReceipt, error) {
	started := time.Now()
	state, _, err := task.Saved[salvageState](env)
	if err != nil {
		return SalvageReceipt{}, err
	}
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return SalvageReceipt{}, err
	}
	lock, err := pg.Acquire(ctx, s.DSN)
	if err != nil {
		return SalvageReceipt{}, err
	}
	defer lock.Release()
	if whole(state.SalvageReceipt) {
		state.tell(env.Log)
		return state.SalvageReceipt, task.Skip("salvaged to " + state.File + " by an earlier call")
	}
	state.Database, state.Replaced = config.Database, s.Replaced
	receipt, err := s.compare(ctx, env, lock.Conn(), state)
	if err != nil {
		return SalvageReceipt{}, fmt.Errorf("salvage what was written to database %s: %w", s.Replaced, err)
	}
	receipt.tell(env.Log)
	receipt.TookMS = time.Since(started).Milliseconds()
	return receipt, env.Save(salvageState{receipt, state.Opened})
}

// tell says what a person has to do something about.
func (r *SalvageReceipt) tell(log *slog.Logger) {
	if r.Inserted+r.Updated+r.Deleted > 0 {
		log.Warn("rows were written since the copy, and the live database does not have them: postgres/replay applies them from the file, or psql from sql_file",
			"inserted", r.Inserted, "updated", r.Updated, "deleted", r.Deleted, "file", r.File, "sql_file", r.SQLFile)
	}
	if r.Both > 0 {
		log.Warn("rows were written in both databases: the live one keeps its own, and the file has the others", "rows", r.Both, "file", r.File)
	}
	if r.Dropped > 0 {
		log.Warn("rows and values of tables and columns that the live database does not have are in a file", "rows", r.Dropped, "file", r.DroppedFile)
	}
	if r.Unsure > 0 {
		log.Warn("rows that only the live database has were written after the swap: inserted, or deleted before it and updated after it, which nothing tells apart",
			"rows", r.Unsure, "file", r.UnsureFile)
	}
}

// whole tells whether the files of a receipt are what they were.
func whole(r SalvageReceipt) bool {
	if r.File == "" {
		return false
	}
	for file, want := range map[string]string{r.File: r.SHA256, r.SQLFile: r.SQLSHA256, r.DroppedFile: r.DroppedSHA256, r.UnsureFile: r.UnsureSHA256} {
		if sum, err := sha256File(file); err != nil || sum != want {
			return false
		}
	}
	return true
}

// compare reads both databases, each at one moment, and writes the files.
func (s *Salvage) compare(ctx context.Context, env *task.Env, conn *pgx.Conn, state salvageState) (SalvageReceipt, error) {
	kept, err := s.openReplaced(ctx, env, conn, state)
	if err != nil {
		return state.SalvageReceipt, err
	}
	defer pg.Close(kept)
	live, err := pg.ConnectSystem(ctx, s.DSN, "")
	if err != nil {
		return state.SalvageReceipt, err
	}
	defer pg.Close(live)
	for _, conn := range []*pgx.Conn{kept, live} {
		if err := pg.BeginRead(ctx, conn, s.LockWait); err != nil {
			return state.SalvageReceipt, err
		}
		if _, err := conn.Exec(ctx, "set local jit to off; set local work_mem to '64MB'"); err != nil {
			return state.SalvageReceipt, fmt.Errorf("begin to compare: %w", err)
		}
	}
	w := &salvaging{salvage: s, env: env, kept: kept, live: live, receipt: state.SalvageReceipt}
	return w.run(ctx)
}

// openReplaced connects to the replaced database, which takes no connections
// before and after.
func (s *Salvage) openReplaced(ctx context.Context, env *task.Env, conn *pgx.Conn, state salvageState) (*pgx.Conn, error) {
	replaced, err := lookUp(ctx, conn, s.Replaced)
	if err != nil {
		return nil, err
	}
	if !replaced.found {
		return nil, task.Hint(errors.New("there is no such database"), "name the database that a postgres/swap step has replaced")
	}
	if replaced.open && !state.Opened {
		return pg.ConnectSystem(ctx, s.DSN, s.Replaced)
	}
	state.Opened = true
	if err := env.Save(state); err != nil {
		return nil, err
	}
	if _, err := openDatabase(ctx, conn, s.Replaced); err != nil {
		return nil, err
	}
	kept, err := pg.ConnectSystem(ctx, s.DSN, s.Replaced)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if left := closeDatabase(closing, conn, s.Replaced); left != nil {
		if err == nil {
			pg.Close(kept)
		}
		return nil, errors.Join(err, left)
	}
	return kept, err
}

// closeDatabase has a database take no connections.
func closeDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	if _, err := conn.Exec(ctx, fmt.Sprintf("alter database %s allow_connections false", quote(name))); err != nil {
		return fmt.Errorf("close database %s: %w", name, err)
	}
	return nil
}
