package schema

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Status finds out where a database stands on the way through a directory of
// migrations. It fails if the directory does not fit its atlas.sum or the
// database's history does not fit the directory; that migrations are pending, or
// that the schema has drifted, is no failure, and gate/assert can hold that it is
// not so.
//
// With drift, the applied migrations are run in an empty scratch database beside
// it, named after it with _phasegate_scratch behind and dropped at the end, and
// the two schemas are compared as pg_dump writes them, with views, functions,
// triggers, policies, grants and comments; who owns an object is left out. What goes
// beyond a database, such as CREATE ROLE, is not run there: the receipt lists it. The
// account needs the right to create databases then.
type Status struct {
	DSN      redact.Secret `with:"dsn,required"` // connection string of the database
	Dir      task.Path     `with:"dir,required"` // directory of the migrations and of atlas.sum, their checksums
	Baseline string        `with:"baseline"`     // version whose tables are there already in a database that has no history; ignored where there is one or the database is empty
	Drift    bool          `with:"drift"`        // whether to look for changes that no migration has made; default false
}

// Standing is where the database stands.
type Standing struct {
	Version  string   `json:"version"`  // the last version applied, "" for none
	Latest   string   `json:"latest"`   // the newest version in the directory
	Applied  int      `json:"applied"`  // number of versions in the history, the baseline included
	Pending  int      `json:"pending"`  // number of versions still to be applied
	Versions []string `json:"versions"` // the pending ones, in order
	Partial  string   `json:"partial"`  // version of which only some statements are applied, "" if there is none
	History  []string `json:"history"`  // a line for each version in the history, oldest first: version, name, when, how long, by which program

	Drift        int      `json:"drift"`         // number of objects that are not as the migrations make them; 0 if nobody looked
	Drifted      []string `json:"drifted"`       // these, such as "TABLE public.users differs"
	LeftOut      []string `json:"left_out"`      // places and kinds of statements that were not run for that, since they go beyond a database, such as "schema/2_n.sql:3: CREATE ROLE"
	Report       string   `json:"report"`        // path of their definitions, a JSON file; "" if nobody looked
	ReportSHA256 string   `json:"report_sha256"` // of the report, "" if nobody looked
}

// Files are the migrations and atlas.sum.
func (s *Status) Files() []string { return folderFiles(s.Dir) }

// Check looks as Run does, but not for drift.
func (s *Status) Check(ctx context.Context, _ *task.Env) error {
	_, _, err := s.standing(ctx)
	return err
}

// Run compares the database with the directory.
func (s *Status) Run(ctx context.Context, env *task.Env) (Standing, error) {
	f, found, err := s.standing(ctx)
	if err != nil || !s.Drift {
		return found, err
	}
	if found.Partial != "" {
		return found, task.Hint(fmt.Errorf("look for drift: only some statements of %s are applied, and what the schema should be is not known", found.Partial),
			"go on with schema/apply until it is whole")
	}
	within := &fence{folder: f, log: env.Log, left: found.LeftOut}
	changes, err := s.drift(ctx, env, within, found.Version)
	if err != nil {
		return found, fmt.Errorf("look for drift: %w", err)
	}
	found.Drift, found.Drifted, found.LeftOut = len(changes), sentences(changes), within.left
	found.Report = filepath.Join(env.Dir, "drift.json")
	if found.ReportSHA256, err = writeJSON(found.Report, changes); err != nil {
		return found, fmt.Errorf("write the report: %w", err)
	}
	return found, nil
}

// standing finds out everything but the drift.
func (s *Status) standing(ctx context.Context) (*folder, Standing, error) {
	f, err := openFolder(s.Dir)
	if err != nil {
		return nil, Standing{}, err
	}
	d, err := open(ctx, s.DSN)
	if err != nil {
		return nil, Standing{}, err
	}
	defer d.close()
	found, err := d.compare(ctx, f, s.Baseline)
	if err != nil {
		return nil, Standing{}, err
	}
	history, err := d.revisions.ReadRevisions(ctx)
	if err != nil {
		return nil, Standing{}, err
	}
	return f, Standing{
		Version: found.current, Latest: f.last(), Applied: len(found.applied),
		Pending: len(found.pending), Versions: versions(found.pending), Partial: found.partial,
		History: lines(history), Drifted: []string{}, LeftOut: []string{},
	}, nil
}

// drift compares the schema with what the migrations up to the version make.
func (s *Status) drift(ctx context.Context, env *task.Env, within *fence, version string) (changes []change, err error) {
	err = inScratch(ctx, s.DSN, env, func(c *clone, d *database) error {
		if err := d.replay(ctx, within, version); err != nil {
			return err
		}
		want, err := dumpObjects(ctx, s.DSN, c.name, "--no-owner")
		if err != nil {
			return err
		}
		got, err := dumpObjects(ctx, s.DSN, c.source, "--no-owner")
		changes = want.differences(got)
		return err
	})
	if changes == nil {
		changes = []change{}
	}
	return changes, err
}

// lines tells the history, never nil.
func lines(history []*migrate.Revision) []string {
	list := make([]string, len(history))
	for i, revision := range history {
		how := fmt.Sprintf("in %s", revision.ExecutionTime.Round(time.Millisecond))
		switch {
		case revision.Type&migrate.RevisionTypeBaseline != 0:
			how = "as baseline"
		case revision.Applied != revision.Total:
			how = fmt.Sprintf("in part, %d of %d statements", revision.Applied, revision.Total)
		}
		list[i] = fmt.Sprintf("%s %s: %s %s by %s", revision.Version, revision.Description,
			revision.ExecutedAt.UTC().Format(time.RFC3339), how, revision.OperatorVersion)
	}
	return list
}

// versions lists the versions of files, never nil.
func versions(files []migrate.File) []string {
	list := make([]string, len(files))
	for i, file := range files {
		list[i] = file.Version()
	}
	return list
}
