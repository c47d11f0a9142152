package evidence

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Disk finds files where the receipts say they are. Dir is the run's directory:
// what the run kept in its own is looked for there, wherever that is now, and
// nowhere else.
type Disk struct {
	Run string
	Dir string
}

// own returns the path inside the run's directory, or false for a file that the
// run made elsewhere.
func (d Disk) own(c claim) (string, bool) {
	_, rest, ok := strings.Cut("/"+filepath.ToSlash(c.path), "/"+d.Run+"/")
	return filepath.FromSlash(rest), ok
}

func (d Disk) kept(c claim) bool {
	_, ok := d.own(c)
	return ok
}

// find opens a file. A pipe is not waited for.
func (d Disk) find(c claim) (fs.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	path, ok := d.own(c)
	if !ok {
		return os.OpenFile(c.path, flags, 0)
	}
	root, err := os.OpenRoot(d.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(path, flags, 0)
}

// until reads as long as ctx lasts.
type until struct {
	ctx context.Context //nolint:containedctx // io.Copy has no other way to be stopped
	io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.Reader.Read(p)
}
