package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"os"
	"strings"
	"sync"
)

// output is a file in a directory, mode 0600, that is made when the first byte
// comes. Several programs' streams may write to it.
type output struct {
	dir, name string

	mu   sync.Mutex
	file *os.File
	sum  hash.Hash
	err  error // the first failure: what follows is dropped, so that no program waits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(p) == 0 || o.err != nil {
		return len(p), nil
	}
	if o.file == nil {
		o.sum = sha256.New()
		if o.file, o.err = os.CreateTemp(o.dir, o.name+"-*.log"); o.err != nil {
			return len(p), nil
		}
	}
	_, o.err = o.file.Write(p)
	o.sum.Write(p)
	return len(p), nil
}

// close puts the file on disk and returns where it is and its SHA-256, empty if
// nothing was written.
func (o *output) close() (path, sum string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return "", "", o.err
	}
	err = errors.Join(o.err, o.file.Sync(), o.file.Close())
	return o.file.Name(), hex.EncodeToString(o.sum.Sum(nil)), err
}

// textSize is how much of a program's standard output a receipt may keep, in bytes.
const textSize = 2 << 10

// end keeps the last bytes that are written to it.
type end struct {
	most int
	kept []byte
}

func (e *end) Write(p []byte) (int, error) {
	e.kept = append(e.kept, p...)
	if extra := len(e.kept) - e.most; extra > 0 {
		e.kept = append(e.kept[:0], e.kept[extra:]...)
	}
	return len(p), nil
}

func (e *end) String() string { return strings.TrimSpace(strings.ToValidUTF8(string(e.kept), "")) }
