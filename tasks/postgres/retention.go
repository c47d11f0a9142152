package postgres

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
		if !ok || !entry.Type().IsRegular() || !ours.MatchString(entry.Name()) {
			continue
		}
		file := filepath.Join(d.path, name)
		if m, err := ReadMetadata(file); err == nil && m.Database == database {
			list = append(list, stored{file, m})
		}
	}
	return list, nil
}

// removeOlder removes the backups of a database that were taken before a time,
// but never the newest proven one, and returns how many it removed. A backup
// that cannot be removed is logged and left: the new one is not worth less.
func (d *directory) removeOlder(database string, limit time.Time, log *slog.Logger) int64 {
	list, err := d.backups(database)
	if err != nil {
		log.Warn("old backups are not removed", "error", err)
		return 0
	}
	newest := newestProven(list)
	var removed int64
	for _, old := range list {
		if old.file == newest || !old.TakenAt.Before(limit) {
			continue
		}
		// The archive first: metadata alone is removed the next time.
		err := os.Remove(old.file)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Remove(old.file + metadataSuffix)
		}
		if err != nil {
			log.Warn("an old backup is not removed", "file", old.file, "error", err)
			continue
		}
		removed++
	}
	return removed
}

func newestProven(list []stored) string {
	var newest stored
	for _, b := range list {
		if b.Proven && exists(b.file) && b.TakenAt.After(newest.TakenAt) {
			newest = b
		}
	}
	return newest.file
}
