package postgres

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A stored backup is one whose metadata lies in the directory.
type stored struct {
	file string
	Metadata
}

// backups lists the backups of a database. Files that are no metadata of ours
// are passed over.
func (d *directory) backups(database string) ([]stored, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var list []stored
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), metadataSuffix)
		if !ok || !entry.Type().IsRegular() || !ours().MatchString(entry.Name()) {
			continue
		}
		file := filepath.Join(d.path, name)
		if m, err := ReadMetadata(file); err == nil && m.Database == database {
			list = append(list, stored{file, m})
		}
	}
	return list, nil
}

// prune removes backups of the same database as the new one, made by this task:
// those that are older than a number of days, and those beyond a number of them,
// where that is not 0. The new one stays, also where the server's clock has gone
// back since an older one, and so does the newest proven one. It returns how many
// it removed. One that cannot be removed is logged and left: the new one is not
// worth less.
func (d *directory) prune(made Metadata, days, keep int, log *slog.Logger) int64 {
	list, err := d.backups(made.Database)
	if err != nil {
		log.Warn("old backups are not removed", "error", err)
		return 0
	}
	list = slices.DeleteFunc(list, func(s stored) bool { return s.Server != made.Server })
	isNew := func(s stored) bool { return s.SHA256 == made.SHA256 && s.TakenAt.Equal(made.TakenAt) }
	slices.SortFunc(list, func(a, b stored) int {
		switch {
		case isNew(a):
			return -1
		case isNew(b):
			return 1
		}
		return b.TakenAt.Compare(a.TakenAt)
	})
	newest := newestProven(list)
	var removed int64
	kept := 0 // of those whose file is there
	for _, old := range list {
		aged := days > 0 && old.TakenAt.Before(time.Now().Add(-time.Duration(days)*24*time.Hour))
		if isNew(old) || old.file == newest || !aged && (keep == 0 || kept < keep) {
			if old.whole() {
				kept++
			}
			continue
		}
		if err := old.remove(); err != nil {
			log.Warn("an old backup is not removed", "file", old.file, "error", err)
			continue
		}
		removed++
	}
	return removed
}

// remove removes the archive first: metadata alone is removed the next time. A
// file of another size is not the one that the metadata speaks of.
func (s stored) remove() error {
	info, err := os.Lstat(s.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != s.Bytes:
		return errors.New("it is not the file that its metadata speaks of")
	default:
		if err := os.Remove(s.file); err != nil {
			return err
		}
	}
	return os.Remove(s.file + metadataSuffix)
}

// whole tells whether the file is there and as large as its metadata says.
func (s stored) whole() bool {
	info, err := os.Lstat(s.file)
	return err == nil && info.Mode().IsRegular() && info.Size() == s.Bytes
}

func newestProven(list []stored) string {
	var newest stored
	for _, b := range list {
		if b.Proven && b.whole() && b.TakenAt.After(newest.TakenAt) {
			newest = b
		}
	}
	return newest.file
}
