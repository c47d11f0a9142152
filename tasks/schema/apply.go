package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Apply applies the migrations that a database lacks, in order: VERSION_name.sql
// files in the format of Atlas. Each is one transaction together with the record
// of it, so that an interruption at any point leaves a migration applied or not,
// never half. A file whose first line is "-- atlas:txmode none", with an empty
// line behind it, is run statement by statement, each recorded. What has been
// applied is kept in the database itself, in atlas_schema_revisions, and goes
// back with it.
//
// It works on its own connection, whether the application is up or not, and
// needs a direct one to the server, not one to a pooler.
type Apply struct {
	DSN              redact.Secret `with:"dsn,required"`      // connection string of the database
	Dir              task.Path     `with:"dir,required"`      // directory of the migrations and of atlas.sum, their checksums
	Baseline         string        `with:"baseline"`          // version whose tables are there already in a database that has no history; ignored where there is one or the database is empty
	To               string        `with:"to"`                // last version to apply; default the newest
	LockTimeout      time.Duration `with:"lock_timeout"`      // how long to queue for a lock before giving way to the application's queries, which queue up behind; default 100ms
	LockTries        int           `with:"lock_tries"`        // how often to queue, with a pause of a few tenths of a second between; default 150, which takes about 75s
	StatementTimeout time.Duration `with:"statement_timeout"` // how long a statement may run, but for CONCURRENTLY; default 15m, 0 for no limit
}

// Applied tells what was applied, by all calls of the step together.
type Applied struct {
	From       string   `json:"from"`        // version before, "" for an empty database
	To         string   `json:"to"`          // version now
	Applied    int      `json:"applied"`     // number of migrations applied
	Pending    int      `json:"pending"`     // number of migrations left, such as those after to
	Versions   []string `json:"versions"`    // the migrations applied, in order
	Baseline   string   `json:"baseline"`    // version that was taken for given, "" if none was
	DurationMS int64    `json:"duration_ms"` // of this call, in milliseconds
}

// Validate holds that the limits are possible.
func (a *Apply) Validate() error {
	if a.LockTimeout < time.Millisecond {
		return task.Hint(fmt.Errorf("lock_timeout is %s", a.LockTimeout),
			"write at least 1ms: without a limit, every query of the application would queue up behind a waiting migration")
	}
	if a.LockTries < 1 {
		return fmt.Errorf("lock_tries is %d: write at least 1", a.LockTries)
	}
	if a.StatementTimeout < 0 {
		return fmt.Errorf("statement_timeout is %s: write 0 or more", a.StatementTimeout)
	}
	return nil
}

// Files are the migrations and atlas.sum.
func (a *Apply) Files() []string { return folderFiles(a.Dir) }

// Check holds that the files fit atlas.sum, that it is clear which of them are
// pending, and that their record can be written.
func (a *Apply) Check(ctx context.Context, _ *task.Env) error {
	f, err := openFolder(a.Dir)
	if err != nil {
		return err
	}
	d, err := open(ctx, a.DSN)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := a.plan(ctx, d, f); err != nil {
		return err
	}
	return d.mayRecord(ctx)
}

// Run applies what is pending.
func (a *Apply) Run(ctx context.Context, env *task.Env) (Applied, error) {
	begin := time.Now()
	f, err := openFolder(a.Dir)
	if err != nil {
		return Applied{}, err
	}
	d, lock, err := openLocked(ctx, a.DSN)
	if err != nil {
		return Applied{}, err
	}
	defer lock.Release()
	defer d.close()
	s, err := a.plan(ctx, d, f)
	if err != nil {
		return Applied{}, err
	}
	from, err := beginning(env, s)
	if err != nil {
		return Applied{}, err
	}
	applyErr := a.applyAll(ctx, env, d, f, &s)
	receipt := s.receipt(from)
	receipt.DurationMS = time.Since(begin).Milliseconds()
	if applyErr == nil && receipt.Applied == 0 && receipt.Baseline == "" {
		return receipt, task.Skip("the database is at version " + s.current + " already")
	}
	return receipt, applyErr
}

// plan compares, leaves out what comes after to, and holds that each file that is
// left can be run before the first is.
func (a *Apply) plan(ctx context.Context, d *database, f *folder) (planned, error) {
	s, err := d.compare(ctx, f, a.Baseline)
	if err != nil {
		return planned{}, err
	}
	p := planned{standing: s}
	if p.pending, p.later, err = f.until(s.pending, a.To); err != nil {
		return planned{}, err
	}
	for _, file := range p.pending {
		if _, err := f.transactional(file); err != nil {
			return planned{}, err
		}
	}
	return p, nil
}

// planned is a standing whose pending migrations are those of this step.
type planned struct {
	standing
	later []migrate.File // pending, but after to
}

// start is what the first call of a step saves.
type start struct {
	From     string `json:"from"`
	Baseline string `json:"baseline"`
}

// beginning returns where the step's first call began, and saves it if this is
// the first.
func beginning(env *task.Env, p planned) (start, error) {
	saved, ok, err := task.Saved[start](env)
	if err != nil || ok {
		return saved, err
	}
	now := start{From: p.current}
	if p.adopt != nil {
		now.Baseline = p.adopt.Version()
	}
	if len(p.pending) == 0 && p.adopt == nil {
		return now, nil
	}
	return now, env.Save(now)
}

// applyAll applies the pending migrations and keeps s in step with the database.
func (a *Apply) applyAll(ctx context.Context, env *task.Env, d *database, f *folder, p *planned) error {
	if len(p.pending) == 0 && p.adopt == nil {
		return nil
	}
	if err := d.revisions.create(ctx); err != nil {
		return hinted(err)
	}
	if err := d.adopt(ctx, p.standing); err != nil {
		return err
	}
	runner := applier{
		database: d, folder: f, log: env.Log,
		limits: limits{lock: a.LockTimeout, tries: a.LockTries, statement: a.StatementTimeout},
	}
	total := int64(len(p.pending))
	for i, file := range slices.Clone(p.pending) {
		env.Progress(int64(i), total, "migrations")
		if err := runner.apply(ctx, file); err != nil {
			return err
		}
		env.Log.Info("migration applied", "version", file.Version())
		p.current, p.applied, p.pending = file.Version(), append(p.applied, file.Version()), p.pending[1:]
	}
	env.Progress(total, total, "migrations")
	return nil
}

// receipt tells what was done since the step began.
func (p planned) receipt(from start) Applied {
	versions := []string{}
	for _, version := range p.applied {
		if version > from.From {
			versions = append(versions, version)
		}
	}
	return Applied{
		From: from.From, To: p.current, Applied: len(versions), Versions: versions,
		Pending: len(p.pending) + len(p.later), Baseline: from.Baseline,
	}
}

// adopt records the baseline, whose tables are there already.
func (d *database) adopt(ctx context.Context, s standing) error {
	if s.adopt == nil {
		return nil
	}
	err := d.revisions.WriteRevision(ctx, &migrate.Revision{
		Version: s.adopt.Version(), Description: s.adopt.Desc(), Type: migrate.RevisionTypeBaseline,
		ExecutedAt: time.Now(), OperatorVersion: "phasegate",
	})
	if err != nil {
		return fmt.Errorf("record the baseline %s: %w", s.adopt.Version(), err)
	}
	return nil
}

// mayRecord holds that the account may write the table of revisions, or make it.
func (d *database) mayRecord(ctx context.Context) error {
	var may bool
	err := d.conn.QueryRowContext(ctx, `
		select coalesce((select has_table_privilege(oid, 'insert, update') from pg_class
		                  where oid = to_regclass('atlas_schema_revisions.atlas_schema_revisions')),
		                has_database_privilege(current_database(), 'create'))`).Scan(&may)
	if err != nil {
		return fmt.Errorf("look at the privileges in database %s: %w", d.name, err)
	}
	if !may {
		return task.Hint(fmt.Errorf("the account may not record migrations in database %s", d.name),
			"connect as the database's owner, or grant it the right to create schemas there")
	}
	return nil
}

// hinted adds the hint that belongs to the server's answer.
func hinted(err error) error {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return task.Hint(err, hint(server))
	}
	return err
}
