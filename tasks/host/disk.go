// Package host looks at the machine that phasegate runs on, and runs programs
// on it.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/medlogistics/phasegate/runner/task"
)

// Disk holds that enough space is free where a file or a directory is, or would
// be if it is not there yet. It creates nothing. What is free is what this
// account may still use, without the part that is kept for root.
type Disk struct {
	Path string     `with:"path,required"` // a file or directory on the disk in question
	Min  task.Bytes `with:"min,required"`  // how much must be free, such as 5GB
}

// Space is what was found.
type Space struct {
	Path       string `json:"path"`        // the directory that was looked at: path, or its nearest parent that exists
	FreeBytes  int64  `json:"free_bytes"`  // free for this account
	TotalBytes int64  `json:"total_bytes"` // size of the file system
}

// Validate holds that the space asked for is some.
func (d *Disk) Validate() error {
	if d.Min <= 0 {
		return errors.New("min is nothing: write a size above zero, such as 5GB")
	}
	return nil
}

// Check looks at the disk as Run does.
func (d *Disk) Check(ctx context.Context, env *task.Env) error {
	_, err := d.Run(ctx, env)
	return err
}

// Run looks at the disk.
func (d *Disk) Run(ctx context.Context, _ *task.Env) (Space, error) {
	if ctx.Err() != nil {
		return Space{}, context.Cause(ctx)
	}
	path, err := existing(d.Path)
	if err != nil {
		return Space{}, fmt.Errorf("look for space at %s: %w", d.Path, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		return Space{}, fmt.Errorf("look for space at %s: %w", path, err)
	}
	block := int64(disk.Bsize)
	space := Space{Path: path, FreeBytes: int64(disk.Bavail) * block, TotalBytes: int64(disk.Blocks) * block}
	if free := task.Bytes(space.FreeBytes); free < d.Min {
		return space, task.Hint(fmt.Errorf("%s has %s free, less than %s", path, free, d.Min),
			"free some space there, or name a place on another disk")
	}
	return space, nil
}

// existing returns path, or the nearest directory above it that is there.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
		path = filepath.Dir(path) // ends at the root, which is there
	}
}
