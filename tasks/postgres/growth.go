package postgres

import (
	"io"
	"sync"
)

// A growth is how far a file has been written, for whoever reads it meanwhile.
// Its writer tells of it in steps.
type growth struct {
	mu       sync.Mutex
	more     *sync.Cond
	size     int64
	complete bool  // all of it is there
	failed   error // why nothing more comes
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
	if g.complete || g.failed != nil {
		return
	}
	if g.failed = err; err == nil {
		g.size, g.complete = size, true
	}
	g.more.Broadcast()
}

// whole tells whether all of the file is there.
func (g *growth) whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.complete
}

// failure is why the file will not be whole, nil if it is or may be.
func (g *growth) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// beyond waits until there are bytes behind the first at of them, and returns how
// many there are in all. At the end of a whole file the error is io.EOF.
func (g *growth) beyond(at int64) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.size <= at && !g.complete && g.failed == nil {
		g.more.Wait()
	}
	switch {
	case g.failed != nil:
		return 0, g.failed
	case g.size <= at:
		return 0, io.EOF
	}
	return g.size, nil
}
