package schema

import (
	"context"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Status finds out where a database stands on the way through a directory of
// migrations. It fails if the directory does not fit its atlas.sum or the
// database's history does not fit the directory; that migrations are pending is
// no failure, and gate/assert can hold that none is.
type Status struct {
	DSN      redact.Secret `with:"dsn,required"` // connection string of the database
	Dir      task.Path     `with:"dir,required"` // directory of the migrations and of atlas.sum, their checksums
	Baseline string        `with:"baseline"`     // version whose tables are there already in a database that has no history; ignored where there is one or the database is empty
}

// Standing is where the database stands.
type Standing struct {
	Version  string   `json:"version"`  // the last version applied, "" for none
	Latest   string   `json:"latest"`   // the newest version in the directory
	Applied  int      `json:"applied"`  // number of versions in the history, the baseline included
	Pending  int      `json:"pending"`  // number of versions still to be applied
	Versions []string `json:"versions"` // the pending ones, in order
	Partial  string   `json:"partial"`  // version of which only some statements are applied, "" if there is none
}

// Files are the migrations and atlas.sum.
func (s *Status) Files() []string { return folderFiles(s.Dir) }

// Check looks as Run does.
func (s *Status) Check(ctx context.Context, env *task.Env) error {
	_, err := s.Run(ctx, env)
	return err
}

// Run compares the database with the directory.
func (s *Status) Run(ctx context.Context, _ *task.Env) (Standing, error) {
	f, err := openFolder(s.Dir)
	if err != nil {
		return Standing{}, err
	}
	d, err := open(ctx, s.DSN)
	if err != nil {
		return Standing{}, err
	}
	defer d.close()
	found, err := d.compare(ctx, f, s.Baseline)
	if err != nil {
		return Standing{}, err
	}
	return Standing{
		Version: found.current, Latest: f.last(), Applied: len(found.applied),
		Pending: len(found.pending), Versions: versions(found.pending), Partial: found.partial,
	}, nil
}

// versions lists the versions of files, never nil.
func versions(files []migrate.File) []string {
	list := make([]string, len(files))
	for i, file := range files {
		list[i] = file.Version()
	}
	return list
}
