package auth0

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// A wire carries all that a process says to its database and to its tenant, and
// what they answer, up to a number of bytes.
type wire struct {
	mu     sync.Mutex
	left   int           // bytes that still pass
	passed int           // bytes that have
	cut    chan struct{} // closed when the last one has
	ends   []io.Closer
}

func newWire(t testing.TB, bytes int) *wire {
	w := &wire{left: bytes, cut: make(chan struct{})}
	t.Cleanup(w.close)
	return w
}

// close breaks every connection, as the kernel does for a process that is killed.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range w.ends {
		end.Close()
	}
	w.ends = nil
}

func (w *wire) keep(end io.Closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, end)
}

// to returns an address at which the wire leads to another.
func (w *wire) to(t testing.TB, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.keep(listener)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				near.Close()
				continue
			}
			w.keep(near)
			w.keep(far)
			go w.carry(near, far)
			go w.carry(far, near)
		}
	}()
	return listener.Addr().String()
}

// carry passes bytes on until one side ends or the wire has no more.
func (w *wire) carry(from, to net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if may := w.spend(n); may < n {
			_, _ = to.Write(buffer[:may])
			w.mu.Lock()
			defer w.mu.Unlock()
			select {
			case <-w.cut:
			default:
				close(w.cut)
			}
			return
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			to.Close()
			return
		}
	}
}

// spend returns how many of n bytes may pass.
func (w *wire) spend(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, w.left)
	w.left -= n
	w.passed += n
	return n
}

// total returns how many bytes have passed.
func (w *wire) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passed
}

// TestImportSurvivesKillBetweenAnyTwoBytes kills a process when so many bytes of
// its traffic with the database and the tenant, in either direction, have passed,
// and lets the next one finish.
func TestImportSurvivesKillBetweenAnyTwoBytes(t *testing.T) {
	t.Parallel()
	points := 5
	if os.Getenv("PHASEGATE_SOAK") != "" {
		points = 120
	}
	for _, method := range []Method{Create, Import} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			_, all, _ := cutAt(t, method, 1<<40)
			source := rand.New(rand.NewPCG(5, uint64(points)))
			killed, orphans := 0, 0
			for n := range points {
				at := n*all/points + source.IntN(all/points)
				t.Run(fmt.Sprintf("byte %d of about %d", at, all), func(t *testing.T) { // a point's database goes with it
					dead, _, left := cutAt(t, method, at)
					if dead {
						killed++
					}
					if left > 0 {
						orphans++
					}
				})
			}
			t.Logf("killed at %d points of about %d bytes, with accounts that had no row yet at %d of them", killed, all, orphans)
			if killed < points*2/3 {
				t.Errorf("only %d of %d processes were killed", killed, points)
			}
		})
	}
}

// cutAt kills an import after so many bytes and finishes with another. It tells
// whether the first was killed, how many bytes passed, and how many accounts were
// without a row then.
func cutAt(t *testing.T, method Method, at int) (killed bool, passed, left int) {
	t.Helper()
	s := sceneOf(t, users(12), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 30 * time.Millisecond}})
	w, direct := newWire(t, at), s.bulk()
	direct.Method, direct.Workers, direct.Batch = method, 2, 6
	database, err := url.Parse(s.dsn.Reveal())
	must(t, err)
	database.Host = w.to(t, database.Host)
	wired := *direct
	wired.DSN, wired.Domain = redact.NewSecret(database.String()), w.to(t, direct.Domain)
	s.tenant.SetDomain(wired.Domain)
	dir := t.TempDir()
	cmd := s.start(&wired, dir)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-w.cut:
		killed = true
		must(t, cmd.Process.Kill())
		<-done
	case err := <-done:
		must(t, err)
	}
	w.close()
	s.unlocked()
	left = s.tenant.CountUsers() - s.number("select count(auth0_user_id) from users")
	s.tenant.SetDomain(direct.Domain)
	must(t, s.start(direct, dir).Wait())
	s.exactlyOnce(0)
	return killed, w.total(), left
}
