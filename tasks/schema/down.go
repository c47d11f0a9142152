package schema

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/runner/task"
)

// downDir is where the reverse migrations are: beside the migrations, under the
// same names, with an atlas.sum of their own. Atlas does not look into
// directories, so that its program does not take them for migrations.
const downDir = "down"

// openDown reads the reverse migrations of a folder, if there are any.
func (f *folder) openDown() error {
	path := filepath.Join(f.Path(), downDir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	down, err := readFolder(task.Path(path))
	if err != nil {
		return err
	}
	for _, file := range down.files {
		if up, ok := f.version(file.Version()); !ok || up.Name() != file.Name() {
			return task.Hint(fmt.Errorf("%s reverses no migration", filepath.Join(path, file.Name())),
				"give it the whole name of the migration that it reverses")
		}
	}
	f.down = down
	return nil
}

// reverse returns the migration that takes the version back.
func (f *folder) reverse(version string) (migrate.File, error) {
	if f.down != nil {
		if file, ok := f.down.version(version); ok {
			transactional, err := f.down.transactional(file)
			if err == nil && !transactional {
				err = task.Hint(fmt.Errorf("%s is not one transaction", filepath.Join(f.down.Path(), file.Name())),
					"take out atlas:txmode none: migrations are taken back all or none")
			}
			return file, err
		}
	}
	return nil, task.Hint(fmt.Errorf("migration %s has no reverse migration", version),
		fmt.Sprintf("write one under the same name in %s, or go back by postgres/swap", filepath.Join(f.Path(), downDir)))
}

// proof is what a rehearsal gives for a version that it has applied and taken
// back without a trace: it fits these two files and no others.
func proof(up, down migrate.File) string {
	hash := sha256.New()
	for _, file := range []migrate.File{up, down} {
		sum := sha256.Sum256(file.Bytes())
		hash.Write(sum[:])
	}
	return up.Version() + " h1:" + base64.StdEncoding.EncodeToString(hash.Sum(nil))
}
