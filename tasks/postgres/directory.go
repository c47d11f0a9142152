package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/task"
)

// A directory is where backups lie. One process at a time writes to it.
//
// A backup is two files. Both are written under temporary names; the metadata is
// complete on the disk before the archive gets its final name, and gets its own
// last. Whatever has no metadata under its final name is not a backup.
type directory struct {
	path string
	lock *os.File
}

const (
	archiveSuffix = ".dump.zst"
	sealedSuffix  = ".dump.zst.age"
	partialSuffix = ".partial"
	lockName      = ".phasegate-backup.lock"
)

// ours is the form of the names that these tasks give to their files. Nothing
// else in the directory is ever touched.
var ours = pattern.Lazy(`^.+-\d{8}T\d{6}Z(-[a-z0-9_]+)*\.dump\.zst(\.age)?(\.json)?(\.partial)?$`)

// openDirectory makes the directory if need be, keeps others out of it, and
// clears away what an interrupted call has left in it.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of backups: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of backups: %w", err)
	}
	d := &directory{path: path, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.close()
		return nil, task.Hint(fmt.Errorf("lock the directory of backups %s: another backup is being written to it", path),
			"wait until it has ended, or name another directory")
	}
	if err := d.settle(); err != nil {
		d.close()
		return nil, fmt.Errorf("clear away what an interrupted backup has left: %w", err)
	}
	return d, nil
}

func (d *directory) close() { _ = d.lock.Close() }

// settle finishes a backup that lacks nothing but its metadata's name, and
// removes whatever else was not finished. Where it is a copy, the metadata may be cut
// off: it is removed alone, and copied again by the run that it belongs to.
func (d *directory) settle() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(d.path, entry.Name())
		metadata, partial := strings.CutSuffix(path, partialSuffix)
		if !partial || !entry.Type().IsRegular() || !ours().MatchString(entry.Name()) {
			continue
		}
		archive, ok := strings.CutSuffix(metadata, metadataSuffix)
		finish := os.Remove
		if ok && exists(archive) && !exists(metadata) {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if wholeMetadata(raw) {
				finish = func(path string) error { return os.Rename(path, metadata) }
			}
		}
		if err := finish(path); err != nil {
			return err
		}
	}
	return d.sync()
}

// name returns the path of a backup of a database that starts now, with a suffix
// that says what is in it.
func (d *directory) name(database, run, suffix string, now time.Time) string {
	base := fileName(database) + "-" + now.UTC().Format("20060102T150405Z")
	if run = short(run); run != "" {
		base += "-" + run
	}
	path := filepath.Join(d.path, base+suffix)
	for i := 2; exists(path); i++ {
		path = filepath.Join(d.path, fmt.Sprintf("%s-%d%s", base, i, suffix))
	}
	return path
}

// fileName makes a database's name fit for a file.
func fileName(database string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\ `, r) {
			return '_'
		}
		return r
	}, strings.TrimLeft(database, ".-"))
}

// commit gives a backup whose two files are on the disk its names.
func (d *directory) commit(file string) error {
	if err := d.sync(); err != nil {
		return err
	}
	for _, path := range []string{file, file + metadataSuffix} {
		if err := os.Rename(path+partialSuffix, path); err != nil {
			return fmt.Errorf("name the backup: %w", err)
		}
	}
	return d.sync()
}

// sync puts the names in the directory onto the disk.
func (d *directory) sync() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
}

// samePlace tells whether two paths lead to one directory, which may not be there yet.
func samePlace(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(one, other) || filepath.Clean(a) == filepath.Clean(b)
}

// nearest returns the directory itself or the nearest above it that is there.
func nearest(path string) string {
	for !exists(path) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
	}
	return path
}

// mayWrite fails if backups could not be written below path. It writes nothing.
func mayWrite(path string) error {
	there := nearest(path)
	info, err := os.Stat(there)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", there)
	}
	if err == nil && unix.Access(there, unix.W_OK|unix.X_OK) != nil {
		err = fmt.Errorf("no permission to write to %s", there)
	}
	if err != nil {
		return task.Hint(fmt.Errorf("use %s for backups: %w", path, err), "name another directory, or mend its owner and mode")
	}
	return nil
}

// room fails if need bytes more would leave less than reserve free on the disk
// of path. The sizes in the message are decimal.
func room(path string, need, reserve task.Bytes) error {
	there := nearest(path)
	var disk unix.Statfs_t
	if err := unix.Statfs(there, &disk); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", there, err)
	}
	free := task.Bytes(int64(disk.Bavail) * int64(disk.Bsize))
	if free-need >= reserve {
		return nil
	}
	return task.Hint(
		fmt.Errorf("the disk of %s has %s free: the backup may need %s, and %s are to stay free", there, free, need, reserve),
		"free space there, name a directory on another disk, or lower reserve")
}
