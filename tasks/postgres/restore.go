package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// RestoreInPlace restores a backup over the live database, where a database can't be
// renamed or there is no room for two. It is one transaction: everything in the
// database is dropped, what a migration has added too, the backup is read in, and
// every row, sequence, large object and definition is compared with what the
// backup was taken from before it is committed. Whatever goes wrong or is killed,
// the database is wholly as it was or wholly as in the backup.
//
// Stop the application first: what it writes meanwhile waits, and is lost. So is
// whatever was written since the backup: nothing is salvaged, and no copy of the
// replaced data is kept. It takes as long as reading the archive and building the
// indexes. What belongs to the database as a whole, such as its settings, and
// extensions that the backup has too stay as they are. A database with
// subscriptions is refused.
type RestoreInPlace struct {
	// DSN is the connection string of the live database: the server's own
	// address, not a pooler's.
	DSN redact.Secret `with:"dsn,required"`

	// Backup is the file of the backup: ${{ steps.ID.file }} of a postgres/backup
	// step. Its metadata lies beside it.
	Backup string `with:"backup,required"`

	// SHA256 is what the file must have: ${{ steps.ID.sha256 }} of the step.
	// Without it the metadata's is taken.
	SHA256 string `with:"sha256"`

	// Identity is the file of a private key, age's or SSH's, that an encrypted
	// backup was encrypted for.
	Identity task.Path `with:"identity"`

	// LockWait is how long the restore waits for a table that somebody uses.
	// Default 30s.
	LockWait time.Duration `with:"lock_wait"`
}

// A RestoreReceipt tells what was restored.
type RestoreReceipt struct {
	Database    string `json:"database"`    // name of the database
	File        string `json:"file"`        // the backup
	SHA256      string `json:"sha256"`      // of that file
	Transaction string `json:"transaction"` // number of the transaction that restored it
	Tables      int64  `json:"tables"`      // number of tables that were compared
	Rows        int64  `json:"rows"`        // in all of them
	TookMS      int64  `json:"took_ms"`     // milliseconds
}

// Validate fails on values that make no sense.
func (r *RestoreInPlace) Validate() error {
	switch {
	case r.Backup == "":
		return task.Hint(errors.New("backup is empty"), "name the file of a postgres/backup step")
	case r.LockWait <= 0:
		return errors.New("lock_wait is not positive")
	}
	return nil
}

// Check looks at the server, the programs and the privileges. The backup need not
// be there yet.
func (r *RestoreInPlace) Check(ctx context.Context, _ *task.Env) error {
	conn, err := pg.ConnectSystem(ctx, r.DSN, "")
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	if err := pg.Direct(ctx, conn); err != nil {
		return err
	}
	if _, _, err := dumpTools(ctx, conn); err != nil {
		return err
	}
	count, example, err := subscriptions.ask(ctx, conn, conn.Config().Database)
	if err != nil {
		return err
	}
	if count > 0 {
		return task.Hint(fmt.Errorf("the database has %d subscriptions, among them %s, which cannot be made anew with the rest", count, example),
			"drop them, and make them anew after the restore")
	}
	return permitted(ctx, conn, conn.Config().Database, ForMigrate)
}

// Run restores the backup, unless an earlier call has.
func (r *RestoreInPlace) Run(ctx context.Context, env *task.Env) (RestoreReceipt, error) {
	started := time.Now()
	if ctx.Err() != nil {
		return RestoreReceipt{}, context.Cause(ctx)
	}
	saved, _, err := task.Saved[RestoreReceipt](env)
	if err != nil {
		return RestoreReceipt{}, err
	}
	lock, err := pg.Acquire(ctx, r.DSN)
	if err != nil {
		return RestoreReceipt{}, err
	}
	defer lock.Release()
	if done, err := committed(ctx, lock.Conn(), saved.Transaction); err != nil || done {
		if err == nil {
			err = task.Skip("restored by an earlier call")
		}
		return saved, err
	}
	if err := r.Check(ctx, env); err != nil {
		return RestoreReceipt{}, err
	}
	identities, err := r.identities()
	if err != nil {
		return RestoreReceipt{}, err
	}
	// The archive is proven before anything is touched.
	m, err := Verify(ctx, r.Backup, Proof{Identities: identities, Progress: func(done, total int64) { env.Progress(done, total, "bytes") }})
	if err != nil {
		return RestoreReceipt{}, err
	}
	if r.SHA256 != "" && r.SHA256 != m.SHA256 {
		return RestoreReceipt{}, task.Hint(fmt.Errorf("the backup %s has the SHA-256 %s, not %s", r.Backup, m.SHA256, r.SHA256),
			"name the file and the sha256 of the same step")
	}
	run := &replacing{restore: r, env: env, metadata: m, identities: identities}
	receipt, err := run.all(ctx)
	if err != nil {
		return RestoreReceipt{}, fmt.Errorf("restore %s in place: %w", r.Backup, err)
	}
	receipt.TookMS = time.Since(started).Milliseconds()
	return receipt, env.Save(receipt)
}

func (r *RestoreInPlace) identities() ([]age.Identity, error) {
	if r.Identity == "" {
		return nil, nil
	}
	return ReadIdentities(string(r.Identity))
}

// committed tells whether the transaction of that number was committed. One that
// is still under way is waited for by the caller's lock: it has ended.
func committed(ctx context.Context, conn *pgx.Conn, number string) (bool, error) {
	if number == "" {
		return false, nil
	}
	var status *string
	for deadline := time.Now().Add(10 * time.Second); ; {
		if err := conn.QueryRow(ctx, "select pg_xact_status($1::text::xid8)", number).Scan(&status); err != nil {
			return false, fmt.Errorf("look what became of transaction %s: %w", number, err)
		}
		if status == nil || *status != "in progress" {
			return status != nil && *status == "committed", nil
		}
		if time.Now().After(deadline) {
			return false, task.Hint(fmt.Errorf("transaction %s of an earlier call is still under way", number), "wait until its session has ended")
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// replacing is a restore in place under way.
type replacing struct {
	restore    *RestoreInPlace
	env        *task.Env
	metadata   Metadata
	identities []age.Identity
	conn       *pgx.Conn
	remaining  []string // schemas that were not dropped, quoted where need be
}

// all does it in one transaction.
func (r *replacing) all(ctx context.Context) (receipt RestoreReceipt, err error) {
	if r.conn, err = pg.ConnectSystem(ctx, r.restore.DSN, ""); err != nil {
		return receipt, err
	}
	defer pg.Close(r.conn) // which rolls back what is not committed
	receipt = RestoreReceipt{Database: r.conn.Config().Database, File: r.restore.Backup, SHA256: r.metadata.SHA256}
	begin := "begin; set local statement_timeout to 0; set local idle_in_transaction_session_timeout to 0; " + pg.LockTimeout(r.restore.LockWait)
	if _, err := r.conn.Exec(ctx, begin); err != nil {
		return receipt, fmt.Errorf("begin: %w", err)
	}
	if err := r.conn.QueryRow(ctx, "select pg_current_xact_id()::text").Scan(&receipt.Transaction); err != nil {
		return receipt, fmt.Errorf("begin: %w", err)
	}
	if err := r.clear(ctx); err != nil {
		return receipt, err
	}
	for _, section := range []string{"pre-data", "data", "post-data"} {
		if err := r.section(ctx, section); err != nil {
			return receipt, fmt.Errorf("read in its %s: %w", section, err)
		}
	}
	if err := r.compare(ctx, &receipt); err != nil {
		return receipt, err
	}
	// Saved first: whether this number was committed tells a later call whether it is done.
	if err := r.env.Save(receipt); err != nil {
		return receipt, err
	}
	if _, err := r.conn.Exec(ctx, "commit"); err != nil {
		return receipt, fmt.Errorf("commit: %w", err)
	}
	if _, err := r.conn.Exec(ctx, "analyze"); err != nil {
		r.env.Log.Warn("the planner's statistics were not made: run ANALYZE", "error", err)
	}
	return receipt, nil
}

// compare holds that the database is what the backup was taken from, as far as
// this transaction sees it.
func (r *replacing) compare(ctx context.Context, receipt *RestoreReceipt) error {
	if err := pg.PrintAsDump(ctx, r.conn); err != nil {
		return err
	}
	tables, err := pg.Tables(ctx, r.conn)
	if err != nil {
		return err
	}
	for i := range tables {
		if err := pg.Sum(ctx, r.conn, &tables[i]); err != nil {
			return err
		}
		receipt.Rows += tables[i].Rows
	}
	receipt.Tables = int64(len(tables))
	sequences, err := pg.Sequences(ctx, r.conn)
	if err != nil {
		return err
	}
	large, err := pg.SumLarge(ctx, r.conn)
	if err != nil {
		return err
	}
	objects, err := pg.Objects(ctx, r.conn)
	if err != nil {
		return err
	}
	m := r.metadata
	differences := append(pg.Differences(m.Tables, tables), pg.SequenceDifferences(m.Sequences, sequences)...)
	if d := m.LargeObjects.Differ(large); d != "" {
		differences = append(differences, d)
	}
	inside := func(list []pg.Object) []pg.Object { return slices.DeleteFunc(list, ofWhole) } // the rest is not touched
	differences = append(differences, pg.ObjectDifferences(inside(m.Objects), inside(objects))...)
	if err := differ("the restored database", differences); err != nil {
		return task.Hint(err, "nothing was changed: see whether the role may create and own all of it, or restore into another database with postgres/stage")
	}
	return nil
}
