package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/sqllint"
	"github.com/medlogistics/phasegate/runner/task"
)

// A folder is a directory of migrations in Atlas's format, read once: files
// VERSION_name.sql, and atlas.sum with a checksum of each. It is what Atlas's
// executor works on, which would otherwise read and hash every file again for
// each one that it applies. See https://atlasgo.io/concepts/migration-directory-integrity.
type folder struct {
	*migrate.LocalDir
	files []migrate.File
	sums  migrate.HashFile
	down  *folder // the reverse migrations, nil if there are none
}

// openFolder reads the folder, with its reverse migrations, and holds that
// atlas.sum fits it.
func openFolder(path task.Path) (*folder, error) {
	f, err := readFolder(path)
	if err != nil {
		return nil, err
	}
	return f, f.openDown()
}

// readFolder reads one directory and holds that atlas.sum fits it.
func readFolder(path task.Path) (*folder, error) {
	dir, err := migrate.NewLocalDir(string(path))
	if err != nil {
		return nil, fmt.Errorf("read the migrations in %s: %w", path, cause(err))
	}
	files, err := dir.Files()
	if err != nil {
		return nil, fmt.Errorf("read the migrations in %s: %w", path, cause(err))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read the migrations in %s: it holds no file that ends in .sql", path)
	}
	sums, err := migrate.NewHashFile(files)
	if err != nil {
		return nil, fmt.Errorf("hash the migrations in %s: %w", path, err)
	}
	f := &folder{LocalDir: dir, files: files, sums: sums}
	if err := migrate.Validate(f); err != nil {
		return nil, sumError(path, err)
	}
	return f, nil
}

// Files and Checksum return what was read when the folder was opened.
func (f *folder) Files() ([]migrate.File, error)      { return f.files, nil }
func (f *folder) Checksum() (migrate.HashFile, error) { return f.sums, nil }

// version returns the file of that version.
func (f *folder) version(version string) (migrate.File, bool) {
	i := slices.IndexFunc(f.files, func(file migrate.File) bool { return file.Version() == version })
	if i < 0 {
		return nil, false
	}
	return f.files[i], true
}

// until splits what is pending behind the last version that is wanted, where ""
// is the newest.
func (f *folder) until(pending []migrate.File, to string) (wanted, later []migrate.File, err error) {
	if to == "" {
		return pending, nil, nil
	}
	if _, ok := f.version(to); !ok {
		return nil, nil, fmt.Errorf("to: version %s is not among the migrations in %s: %s", to, f.Path(), f.known())
	}
	i := slices.IndexFunc(pending, func(file migrate.File) bool { return file.Version() > to })
	if i < 0 {
		return pending, nil, nil
	}
	return pending[:i], pending[i:], nil
}

// last returns the newest version.
func (f *folder) last() string { return f.files[len(f.files)-1].Version() }

// known lists the versions, for errors.
func (f *folder) known() string {
	versions := make([]string, len(f.files))
	for i, file := range f.files {
		versions[i] = file.Version()
	}
	return strings.Join(versions, ", ")
}

// place says where in a file a statement is, or a character of it, counted from
// 1 as the server does; 0 is the statement's beginning.
func (f *folder) place(file migrate.File, stmt *migrate.Stmt, character int) string {
	offset := 0
	for ; character > 1 && offset < len(stmt.Text); character-- {
		_, size := utf8.DecodeRuneInString(stmt.Text[offset:])
		offset += size
	}
	before := string(file.Bytes()[:min(stmt.Pos+offset, len(file.Bytes()))])
	line := 1 + strings.Count(before, "\n")
	return fmt.Sprintf("%s:%d", filepath.Join(f.Path(), file.Name()), line)
}

// statements returns the statements of a file, as the executor will run them.
func statements(file migrate.File) ([]*migrate.Stmt, error) {
	return (&postgres.Driver{}).ScanStmts(string(file.Bytes()))
}

// transactional tells whether a file is applied in one transaction: it is,
// unless its header says otherwise.
func (f *folder) transactional(file migrate.File) (bool, error) {
	path := filepath.Join(f.Path(), file.Name())
	if err := readable(file); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	var modes []string
	if local, ok := file.(*migrate.LocalFile); ok {
		modes = local.Directive("txmode")
	}
	switch {
	case len(modes) == 0 && txmode().Match(file.Bytes()):
		return false, task.Hint(fmt.Errorf("%s: the directive atlas:txmode is not in the file's header", path),
			"put it into the first line and an empty line behind it")
	case len(modes) == 0 || slices.Equal(modes, []string{"file"}):
		return true, f.runnable(file, true)
	case slices.Equal(modes, []string{"none"}):
		return false, errors.Join(f.runnable(file, false), f.named(file))
	}
	return false, fmt.Errorf("%s: atlas:txmode is %s: it is file (the default) or none", path, strings.Join(modes, " "))
}

// readable refuses what an editor does not show and what Atlas or the server does
// not read as it is meant. Elsewhere CR LF is space like any other, and stays.
func readable(file migrate.File) error {
	switch {
	case bytes.HasPrefix(file.Bytes(), []byte("\ufeff")):
		return task.Hint(errors.New("it begins with a byte order mark, which PostgreSQL does not read"),
			"save it as UTF-8 without a byte order mark (BOM), and write atlas.sum anew")
	case crlfMode().Match(file.Bytes()):
		return task.Hint(errors.New("its lines end in CR LF, with which the directive atlas:txmode is not found"),
			"save it with LF line ends, and write atlas.sum anew")
	}
	return nil
}

var (
	txmode   = pattern.Lazy(`(?m)^--\s*atlas:txmode`)
	crlfMode = pattern.Lazy(`(?m)^--\s*atlas:txmode[^\n]*(?:\r\n|\n\r\n)`)

	// suspect is quick to say that nothing in a statement is refused. Long ones
	// seldom have such a word, and reading them token by token takes long.
	suspect = pattern.Lazy(`(?i)\b(?:begin|start|commit|end|abort|rollback|prepare|copy)\b`)
	border  = pattern.Lazy(`(?i)^(?:(?:begin|commit|end|abort)\b|start transaction\b|prepare transaction\b|rollback\b)`)
	partial = pattern.Lazy(`(?i)^rollback (?:(?:work|transaction) )?to\b`) // to a savepoint
	copyIn  = pattern.Lazy(`(?i)^copy .*\bfrom stdin\b`)
)

// runnable holds that the server can be given a file's statements. What Atlas
// takes for one of them may be several for the server.
func (f *folder) runnable(file migrate.File, transactional bool) error {
	stmts, err := statements(file)
	if err != nil {
		return fmt.Errorf("read the statements of %s: %w", filepath.Join(f.Path(), file.Name()), err)
	}
	for _, stmt := range stmts {
		if !suspect().MatchString(stmt.Text) {
			continue
		}
		for _, line := range sqllint.Lines(stmt.Text) {
			if err := refusedLine(line, transactional); err != nil {
				return fmt.Errorf("%s: %w", f.place(file, stmt, 0), err)
			}
		}
	}
	return nil
}

// refusedLine refuses a statement that ends the transaction it is run in, since
// half of the file would be applied without a record of it, and one for which the
// server would wait for rows from us, its locks held.
func refusedLine(line string, transactional bool) error {
	switch {
	case copyIn().MatchString(line):
		return task.Hint(fmt.Errorf("%s in a migration: nobody sends the rows", abridged(line)), "write INSERT statements")
	case transactional && border().MatchString(line) && !partial().MatchString(line):
		return task.Hint(fmt.Errorf("%s in a migration that is run in a transaction", abridged(line)),
			"take it out, or write -- atlas:txmode none and an empty line at the top of the file")
	}
	return nil
}

// folderFiles names what belongs to the plan's digest, reverse migrations
// included. A folder that cannot be read is represented by its atlas.sum, which
// then is missed.
func folderFiles(path task.Path) []string {
	var names []string
	for _, dir := range []string{string(path), filepath.Join(string(path), downDir)} {
		found, _ := filepath.Glob(filepath.Join(dir, "*.sql"))
		names = append(names, found...)
		if len(found) > 0 || dir == string(path) {
			names = append(names, filepath.Join(dir, migrate.HashFileName))
		}
	}
	return names
}

// sumError says in what a folder differs from its atlas.sum.
func sumError(path task.Path, err error) error {
	mend := fmt.Sprintf("look at what has changed; if it is meant, write the checksums anew: atlas migrate hash --dir file://%s", path)
	if differs, ok := errors.AsType[*migrate.ChecksumError](err); ok {
		return task.Hint(fmt.Errorf("%s was %s after atlas.sum was written",
			filepath.Join(string(path), differs.File), differs.Reason), mend)
	}
	switch {
	case errors.Is(err, migrate.ErrChecksumNotFound):
		return task.Hint(fmt.Errorf("the migrations in %s have no atlas.sum", path), mend)
	case errors.Is(err, migrate.ErrChecksumFormat), errors.Is(err, migrate.ErrChecksumMismatch):
		return task.Hint(fmt.Errorf("%s does not fit itself", filepath.Join(string(path), migrate.HashFileName)), mend)
	}
	return fmt.Errorf("compare the migrations in %s with atlas.sum: %w", path, cause(err))
}

// cause takes the library's name off an error of the file system.
func cause(err error) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return file.Err
	}
	if errors.Is(err, os.ErrNotExist) {
		return os.ErrNotExist
	}
	return err
}
