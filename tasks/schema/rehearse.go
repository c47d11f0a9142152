package schema

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Rehearse applies the pending migrations to a copy of the database and tells
// what they will do: how long each statement takes on the real data, which locks
// it takes on tables that were there before, which tables it rewrites, and on
// which rows it fails. It fails as schema/apply would. The report of every
// statement is a JSON file in the run's directory.
//
// Where the directory down beside the migrations holds their reverses, these are
// proven on the same copy: they are run, newest first, and after each the schema
// must be what it was before its migration, and in the end every row of every
// table what it was before the first. schema/revert runs nothing that was not
// proven so. A reverse that does not restore is told in the receipt, and fails
// the rehearsal where a way back is demanded.
//
// The database itself is only read, so this task looks: its phase needs no
// rollback. What goes beyond a database, such as CREATE ROLE or ALTER DATABASE, would
// not stay in the copy: a migration with such a statement is refused before anything
// is done. In a DO block or a function it is not seen. The copy is a database of the same server, named after the original
// with _phasegate_rehearsal behind it. It needs as much disk as the original, is
// always dropped at the end, and what a killed call has left of it is dropped by
// the next one. The account needs the right to create databases.
//
// The copy is made in one of three ways. "template" lets the server copy the
// files, in seconds, and works only while nobody is connected; who connects
// meanwhile waits for it. "backup" restores the archive of postgres/backup.
// "dump" dumps and restores the live database, which takes longest and reads all
// of it. "auto" takes the first that is possible.
type Rehearse struct {
	DSN              redact.Secret `with:"dsn,required"`      // connection string of the database
	Dir              task.Path     `with:"dir,required"`      // directory of the migrations and of atlas.sum, their checksums
	Baseline         string        `with:"baseline"`          // version whose tables are there already in a database that has no history; ignored where there is one or the database is empty
	To               string        `with:"to"`                // last version to rehearse, as in schema/apply; default the newest
	Copy             string        `with:"copy"`              // how to make the copy: auto (the default), template, backup or dump
	Backup           string        `with:"backup"`            // archive of pg_dump in the custom format, compressed with zstd or not, for copy backup
	Reverse          bool          `with:"reverse"`           // whether to fail unless every pending migration has a reverse and is proven by it; default false
	StatementTimeout time.Duration `with:"statement_timeout"` // how long a statement may run, but for CONCURRENTLY; default 15m, 0 for no limit
}

// Rehearsal is what the pending migrations did to the copy.
type Rehearsal struct {
	Copy          string   `json:"copy"`           // how the copy was made: template, backup or dump; "" if nothing was pending
	CopyMS        int64    `json:"copy_ms"`        // time to make it, in milliseconds
	Migrations    int      `json:"migrations"`     // number of migrations applied to it
	Statements    int      `json:"statements"`     // number of their statements
	TotalMS       int64    `json:"total_ms"`       // time of all of them, in milliseconds
	LongestMS     int64    `json:"longest_ms"`     // time of the longest statement, in milliseconds
	Longest       string   `json:"longest"`        // file and line of the longest statement
	Rewrites      int      `json:"rewrites"`       // number of tables that were there before and are written anew
	StrongestLock string   `json:"strongest_lock"` // the strongest lock on a table that was there before, as in pg_locks; "" if there is none
	WindowMS      int64    `json:"window_ms"`      // how long such a table can't be written to, all migrations together, in milliseconds
	Report        string   `json:"report"`         // path of the report, "" if nothing was pending
	ReportSHA256  string   `json:"report_sha256"`  // of the report, "" if nothing was pending
	Proven        []string `json:"proven"`         // proofs of the versions that schema/revert may take back, newest first
	Unproven      []string `json:"unproven"`       // versions that it may not, and why
	RevertMS      int64    `json:"revert_ms"`      // time to take all proven versions back, in milliseconds
}

// Validate holds that the way to make the copy is one.
func (r *Rehearse) Validate() error {
	switch r.Copy {
	case "auto", byTemplate, byDump:
	case byBackup:
		if r.Backup == "" {
			return errors.New("copy is backup, but backup names no archive")
		}
	default:
		return fmt.Errorf("copy is %q: it is auto, template, backup or dump", r.Copy)
	}
	if r.StatementTimeout < 0 {
		return fmt.Errorf("statement_timeout is %s: write 0 or more", r.StatementTimeout)
	}
	return nil
}

// Files are the migrations and atlas.sum.
func (r *Rehearse) Files() []string { return folderFiles(r.Dir) }

// Check holds that it is clear what is pending, and that the account may make
// the copy. The archive may be made by an earlier step, and is not looked at.
func (r *Rehearse) Check(ctx context.Context, _ *task.Env) error {
	f, err := openFolder(r.Dir)
	if err != nil {
		return err
	}
	d, err := open(ctx, r.DSN)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := r.wanted(ctx, d, f); err != nil {
		return err
	}
	return d.mayCopy(ctx)
}

// Run makes the copy, applies the migrations to it and drops it.
func (r *Rehearse) Run(ctx context.Context, env *task.Env) (receipt Rehearsal, err error) {
	receipt = empty()
	f, err := openFolder(r.Dir)
	if err != nil {
		return receipt, err
	}
	c, err := openClone(ctx, r.DSN, pg.RehearsalCopy, env)
	if err != nil {
		return receipt, err
	}
	defer c.close()
	if err := c.drop(ctx); err != nil {
		return receipt, err
	}
	pending, err := r.pending(ctx, f)
	if err != nil {
		return receipt, err
	}
	if pending == 0 {
		return empty(), task.Skip("no migration is pending")
	}
	defer func() { err = errors.Join(err, c.drop(context.WithoutCancel(ctx))) }()
	begin := time.Now()
	receipt.Copy, err = c.make(ctx, r.Copy, r.Backup)
	if err != nil {
		return empty(), err
	}
	receipt.CopyMS = time.Since(begin).Milliseconds()
	env.Log.Info("the copy is made", "how", receipt.Copy, "ms", receipt.CopyMS)
	return r.perform(ctx, env, f, c, receipt)
}

// pending counts the pending migrations. Its connection is closed before the
// copy is made: it would stand in the way of a template.
func (r *Rehearse) pending(ctx context.Context, f *folder) (int, error) {
	d, err := open(ctx, r.DSN)
	if err != nil {
		return 0, err
	}
	defer d.close()
	s, err := r.wanted(ctx, d, f)
	return len(s.pending), err
}

// wanted is where the database stands, with what is pending up to the last
// version that is wanted, all of which a copy can rehearse.
func (r *Rehearse) wanted(ctx context.Context, d *database, f *folder) (standing, error) {
	s, err := d.compare(ctx, f, r.Baseline)
	if err == nil {
		s.pending, _, err = f.until(s.pending, r.To)
	}
	if err == nil {
		err = f.confined(s.pending)
	}
	return s, err
}

// perform applies the migrations to the copy and writes the report, of what was
// done until then if one fails.
func (r *Rehearse) perform(ctx context.Context, env *task.Env, f *folder, c *clone, receipt Rehearsal) (Rehearsal, error) {
	d, err := c.open(ctx)
	if err != nil {
		return receipt, err
	}
	defer d.close()
	s, err := r.wanted(ctx, d, f)
	if err != nil {
		return receipt, err
	}
	if err := d.revisions.create(ctx); err != nil {
		return receipt, hinted(err)
	}
	if err := d.adopt(ctx, s); err != nil {
		return receipt, err
	}
	watch := &observer{database: d, folder: f}
	runner := applier{
		database: d, folder: f, log: env.Log, watch: watch,
		limits: limits{lock: time.Minute, tries: 1, statement: r.StatementTimeout},
	}
	prover, err := newProver(c, &runner, s.pending)
	if err == nil && r.Reverse && len(prover.unproven) > 0 {
		err = task.Hint(fmt.Errorf("there is no way back: %s", some(prover.unproven)), "write the reverse migrations, or leave reverse out")
	}
	if err != nil {
		return receipt, err
	}
	receipt.Unproven = append(receipt.Unproven, prover.unproven...)
	err = r.ascend(ctx, env, &runner, prover, s.pending)
	if err != nil {
		watch.failed(err)
	} else if err = prover.prove(ctx); err != nil && !r.Reverse && ctx.Err() == nil {
		env.Log.Warn("the reverse migrations are not proven", "why", err.Error())
		receipt.Unproven = append(receipt.Unproven, prover.refused(err)...)
		err = nil
	}
	receipt.Proven, receipt.RevertMS = append(receipt.Proven, prover.proofs...), prover.took.Milliseconds()
	watch.report.summarize(&receipt)
	receipt.Report = filepath.Join(env.Dir, "rehearsal-"+url.PathEscape(c.source)+".json")
	sum, writeErr := watch.report.write(receipt.Report)
	receipt.ReportSHA256 = sum
	return receipt, errors.Join(err, writeErr)
}

// ascend applies the migrations to the copy.
func (r *Rehearse) ascend(ctx context.Context, env *task.Env, runner *applier, prover *prover, pending []migrate.File) error {
	for i, file := range pending {
		env.Progress(int64(i), int64(len(pending)), "migrations")
		if err := prover.before(ctx, file); err != nil {
			return err
		}
		if err := runner.apply(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// empty is a receipt of nothing: its lists are there.
func empty() Rehearsal { return Rehearsal{Proven: []string{}, Unproven: []string{}} }
