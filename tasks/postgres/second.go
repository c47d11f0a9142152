package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// A place is where a backup is copied to. Names are those of files, without a
// directory.
type place interface {
	// open reads a file there. Its error wraps fs.ErrNotExist if there is none.
	open(ctx context.Context, name string) (io.ReadCloser, error)
	// put writes a file there, whole or not at all.
	put(ctx context.Context, name string, from *os.File) error
	// path is how a person calls a file there.
	path(name string) string
	close()
}

// copyAway copies a proven backup to its second place, unless it is there, and
// reads both files back from there. It returns where the copy lies. The metadata
// comes last: without it a backup does not count.
func (b *Backup) copyAway(ctx context.Context, file string) (string, error) {
	to, err := b.second()
	if err != nil {
		return "", err
	}
	defer to.close()
	if err := nameIsFree(ctx, to, file); err != nil {
		return "", err
	}
	for _, path := range []string{file, file + metadataSuffix} {
		if err := copyFileTo(ctx, to, path); err != nil {
			hint := task.HintOf(err)
			if hint == "" {
				hint = "mend the cause and run this again: only the copy is made then"
			}
			return "", task.Hint(fmt.Errorf("the backup %s is proven, but not copied: %w", file, err), hint)
		}
	}
	return to.path(filepath.Base(file)), nil
}

// nameIsFree fails if the second place has another backup of that name: of another
// server's database, at the same second. What only looks like one is no backup.
func nameIsFree(ctx context.Context, to place, file string) error {
	name := filepath.Base(file) + metadataSuffix
	there, err := to.open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for %s: %w", to.path(name), err)
	}
	defer there.Close()
	found, err := io.ReadAll(there)
	if err != nil {
		return fmt.Errorf("look for %s: %w", to.path(name), err)
	}
	own, err := os.ReadFile(file + metadataSuffix)
	if err != nil || bytes.Equal(own, found) || !wholeMetadata(found) {
		return err
	}
	return task.Hint(fmt.Errorf("the backup %s is proven, but not copied: %s belongs to another backup", file, to.path(name)),
		"give each server a place of its own in copy_to, then run this again: only the copy is made then")
}

func copyFileTo(ctx context.Context, to place, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	want, err := sumOf(from)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	if there, err := sumAt(ctx, to, name); err == nil && there == want {
		return nil // by an earlier call
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for %s: %w", to.path(name), err)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := to.put(ctx, name, from); err != nil {
		return fmt.Errorf("write %s: %w", to.path(name), err)
	}
	got, err := sumAt(ctx, to, name)
	if err != nil {
		return fmt.Errorf("read %s back: %w", to.path(name), err)
	}
	if got != want {
		return fmt.Errorf("read %s back: its SHA-256 is %s, not %s", to.path(name), got, want)
	}
	return nil
}

func sumAt(ctx context.Context, at place, name string) (string, error) {
	file, err := at.open(ctx, name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return sumOf(file)
}

func sumOf(r io.Reader) (string, error) {
	digest := sha256.New()
	if _, err := io.Copy(digest, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// second is the second place.
func (b *Backup) second() (place, error) {
	if strings.HasPrefix(b.CopyTo, "s3://") {
		return b.bucket()
	}
	path, err := filepath.Abs(b.CopyTo)
	if err != nil {
		return nil, fmt.Errorf("find the directory of copies: %w", err)
	}
	dir, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	return folder{dir}, nil
}

// A folder is a second place on another disk.
type folder struct{ dir *directory }

func (f folder) close()                  { f.dir.close() }
func (f folder) path(name string) string { return filepath.Join(f.dir.path, name) }

func (f folder) open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(f.path(name))
}

func (f folder) put(ctx context.Context, name string, from *os.File) (err error) {
	partial := f.path(name) + partialSuffix
	to, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, to.Close()); err != nil {
			_ = os.Remove(partial)
		}
	}()
	if _, err := io.Copy(to, untilDone{ctx, from}); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	if err := os.Rename(partial, f.path(name)); err != nil {
		return err
	}
	return f.dir.sync()
}

// untilDone reads until the context ends.
type untilDone struct {
	ctx  context.Context //nolint:containedctx // an io.Reader has no other way to be told
	from io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.from.Read(p)
}
