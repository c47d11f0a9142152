package postgres

import (
	"io"
	"sync"
)

// A growth is how far a file has been written, for whoever reads it meanwhile.
// Its writer tells of it in steps.
type growth struct {
	mu    sync.Mutex
	more  *sync.Cond
	size  int64
	ended error // nil while it grows; io.EOF when it is whole
}

func (g *growth) init() { g.more = sync.NewCond(&g.mu) }

// grow notes how many bytes are in the file.
func (g *growth) grow(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size = size
	g.more.Broadcast()
}

// end notes that nothing more comes, since the file is whole with so many bytes if
// err is nil. Only the first call counts.
func (g *growth) end(size int64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended != nil {
		return
	}
	if g.ended = err; err == nil {
		g.size, g.ended = size, io.EOF
	}
	g.more.Broadcast()
}

// whole tells whether all of the file is there.
func (g *growth) whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended == io.EOF //nolint:errorlint // set by end alone
}

// failure is why the file will not be whole, nil if it is or may be.
func (g *growth) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended == io.EOF { //nolint:errorlint // set by end alone
		return nil
	}
	return g.ended
}

// beyond waits until there are bytes behind the first at of them, and returns how
// many there are in all. At the end of a whole file the error is io.EOF.
func (g *growth) beyond(at int64) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.size <= at && g.ended == nil {
		g.more.Wait()
	}
	if g.size > at && (g.ended == nil || g.ended == io.EOF) { //nolint:errorlint // set by end alone
		return g.size, nil
	}
	return 0, g.ended
}
