package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Revert takes migrations back and keeps what was written since: it runs the
// reverse migrations, the files of the same names in the directory down beside
// the migrations, newest first, all in one transaction with the end of their
// records. An interruption at any point leaves all of them taken back or none.
//
// It runs only what was proven: schema/rehearse has applied and taken back the
// very same files on a copy of this database, and found schema, rows, large
// objects, settings and grants as before, and no sequence set back. Without a
// reverse migration or its proof, nothing is done.
//
// Rows of tables and values of columns that the old schema has no place for are
// not lost, nor are those of a column that gets another type: they are in CSV files
// in the run's directory, written before the transaction ends. What a reverse
// migration overwrites or deletes by an UPDATE or DELETE of its own, in tables that
// stay, is not in them. Stop the application first, or have it wait: nobody writes
// to the tables concerned from the time at which their rows are copied until the end,
// and nobody reads them while the reverse migrations run, which they do twice, first
// to see what they take away.
// A transaction that reads such a table during the copy and then writes to it makes
// the next try shut readers out as well.
type Revert struct {
	DSN              redact.Secret `with:"dsn,required"`      // connection string of the database
	Dir              task.Path     `with:"dir,required"`      // directory of the migrations, with their reverses in the directory down
	To               string        `with:"to,required"`       // version to go back to, such as ${{ steps.ID.from }} of schema/apply; "" is before the first
	Proven           []string      `with:"proven,required"`   // proofs of schema/rehearse, ${{ steps.ID.proven }}
	LockTimeout      time.Duration `with:"lock_timeout"`      // how long to queue for a lock before giving way to others; default 100ms
	LockTries        int           `with:"lock_tries"`        // how often to queue; default 150, which takes about 75s
	StatementTimeout time.Duration `with:"statement_timeout"` // how long a statement may run; default 15m, 0 for no limit
}

// Reverted tells what was taken back, by all calls of the step together.
type Reverted struct {
	From       string   `json:"from"`        // version before
	To         string   `json:"to"`          // version now
	Reverted   int      `json:"reverted"`    // number of migrations taken back
	Versions   []string `json:"versions"`    // these, newest first
	KeptRows   int64    `json:"kept_rows"`   // number of rows that the old schema has no place for, in the files
	Kept       string   `json:"kept"`        // path of the list of these files, which are beside it; "" if there is none
	KeptSHA256 string   `json:"kept_sha256"` // of the list, which holds those of the files; "" if there is none
	DurationMS int64    `json:"duration_ms"` // of this call, in milliseconds
}

// Validate holds that the limits are possible.
func (r *Revert) Validate() error {
	return (&Apply{LockTimeout: r.LockTimeout, LockTries: r.LockTries, StatementTimeout: r.StatementTimeout}).Validate()
}

// Files are the migrations, their reverses and the checksums.
func (r *Revert) Files() []string { return folderFiles(r.Dir) }

// Check holds that the directories fit their checksums and that the database can
// be reached. What is to be taken back may not be applied yet.
func (r *Revert) Check(ctx context.Context, _ *task.Env) error {
	if _, err := openFolder(r.Dir); err != nil {
		return err
	}
	d, err := open(ctx, r.DSN)
	if err != nil {
		return err
	}
	d.close()
	return nil
}

// Run takes back what was applied after the version.
func (r *Revert) Run(ctx context.Context, env *task.Env) (Reverted, error) {
	begin := time.Now()
	f, err := openFolder(r.Dir)
	if err != nil {
		return Reverted{}, err
	}
	d, lock, err := openLocked(ctx, r.DSN)
	if err != nil {
		return Reverted{}, err
	}
	defer lock.Release()
	defer d.close()
	history, err := d.revisions.ReadRevisions(ctx)
	if err != nil {
		return Reverted{}, err
	}
	files, err := r.reverses(f, history)
	if err != nil {
		return Reverted{}, err
	}
	receipt, known, err := task.Saved[Reverted](env)
	if err != nil {
		return Reverted{}, err
	}
	if len(files) == 0 {
		if known {
			receipt.tell(env.Log)
			return receipt, nil
		}
		return Reverted{From: latest(history), To: latest(history), Versions: []string{}},
			task.Skip("nothing after version " + quoted(r.To) + " is applied")
	}
	receipt = Reverted{From: latest(history), To: before(history, files), Reverted: len(files), Versions: versions(files)}
	err = r.revert(ctx, env, d, f, files, &receipt)
	receipt.DurationMS = time.Since(begin).Milliseconds()
	if err != nil {
		return Reverted{From: receipt.From, To: receipt.From, Versions: []string{}, DurationMS: receipt.DurationMS}, err
	}
	receipt.tell(env.Log)
	return receipt, nil
}

// tell says where the rows are that nobody finds in the database any more.
func (r *Reverted) tell(log *slog.Logger) {
	if r.KeptRows > 0 {
		log.Warn("rows and values that the schema has no place for any more are in files", "rows", r.KeptRows, "list", r.Kept)
	}
}

// revert runs the files and fills in what was kept. The receipt is saved before
// the transaction ends, so that a call after a kill knows it.
func (r *Revert) revert(ctx context.Context, env *task.Env, d *database, f *folder, files []migrate.File, receipt *Reverted) error {
	runner := applier{
		database: d, folder: f.down, log: env.Log,
		limits: limits{lock: r.LockTimeout, tries: r.LockTries, statement: r.StatementTimeout},
	}
	keep := &keeper{database: d, parent: env.Dir}
	return runner.revert(ctx, files, keep, func() (err error) {
		receipt.KeptRows = keep.rows
		if receipt.Kept, receipt.KeptSHA256, err = keep.list(); err != nil {
			return fmt.Errorf("list the rows that are kept: %w", err)
		}
		return env.Save(*receipt)
	})
}

// reverses returns the reverse migrations of what is applied after the version,
// newest first, and holds that each is there and was proven.
func (r *Revert) reverses(f *folder, history []*migrate.Revision) ([]migrate.File, error) {
	if _, ok := f.version(r.To); !ok && r.To != "" {
		return nil, fmt.Errorf("to: version %s is not among the migrations in %s: %s", r.To, f.Path(), f.known())
	}
	var files []migrate.File
	for _, revision := range slices.Backward(history) {
		if revision.Version <= r.To {
			break
		}
		file, err := r.proven(f, revision)
		if err != nil {
			return nil, fmt.Errorf("take back %s: %w", revision.Version, err)
		}
		files = append(files, file)
	}
	return files, nil
}

// proven returns the reverse migration of a version, if it was proven.
func (r *Revert) proven(f *folder, revision *migrate.Revision) (migrate.File, error) {
	if revision.Applied != revision.Total {
		return nil, task.Hint(errors.New("only some of its statements are applied"),
			"go on with schema/apply until it is whole, or go back by postgres/swap")
	}
	if revision.Type&migrate.RevisionTypeBaseline != 0 {
		return nil, task.Hint(errors.New("it is the baseline, whose tables were there before"), "name it, or a later version, as to")
	}
	up, ok := f.version(revision.Version)
	if !ok {
		return nil, task.Hint(fmt.Errorf("it is not among the migrations in %s: %s", f.Path(), f.known()),
			"use the migrations of the release that the database belongs to")
	}
	down, err := f.reverse(revision.Version)
	if err != nil {
		return nil, err
	}
	if slices.Contains(r.Proven, proof(up, down)) {
		return down, nil
	}
	why := "its reverse migration was not proven"
	if slices.ContainsFunc(r.Proven, func(p string) bool { return strings.HasPrefix(p, revision.Version+" ") }) {
		why = "the migration or its reverse was changed after it had been proven"
	}
	return nil, task.Hint(errors.New(why), "go back by postgres/swap; schema/rehearse proves reverse migrations before they are needed")
}

// latest is the last version of a history, "" for none.
func latest(history []*migrate.Revision) string {
	if len(history) == 0 {
		return ""
	}
	return history[len(history)-1].Version
}

// before is the last version of a history before the files, newest first.
func before(history []*migrate.Revision, files []migrate.File) string {
	return latest(history[:len(history)-len(files)])
}

func quoted(version string) string {
	if version == "" {
		return `""`
	}
	return version
}
