package cli

import (
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// A plug is the way to a database. While it is pulled nobody gets there, and
// whoever was there has lost the connection, as when the server is stopped.
type plug struct {
	t      *testing.T
	server string
	dsn    string // through the plug

	mu       sync.Mutex
	listener net.Listener
	through  []net.Conn
}

func newPlug(t *testing.T, dsn string) *plug {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &plug{t: t, server: u.Host}
	p.insert("127.0.0.1:0")
	u.Host = p.listener.Addr().String()
	p.dsn = u.String()
	t.Cleanup(p.pull)
	return p
}

func (p *plug) insert(address string) {
	p.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener = listener
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.join(client)
		}
	}()
}

func (p *plug) join(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.through = append(p.through, client, server)
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}
	go carry(client, server)
	go carry(server, client)
}

func (p *plug) pull() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for _, conn := range p.through {
		_ = conn.Close()
	}
	p.through = nil
}

// mend puts the plug in again where it was.
func (p *plug) mend() { p.insert(p.listener.Addr().String()) }

// waiting is a service that stops when the toy is free to.
const waiting = `echo $$ >child; while test ! -e ../free; do sleep 0.02; done; touch stopped`

// The journal's database is away while a step runs: nothing is begun until what
// the step did is in the journal.
func TestRunWaitsForAJournalThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	p := newPlug(t, postgrestest.Database(t).Reveal())
	y := newToy(t, waiting, calm, calm)
	y.environ = append(y.environ, "PHASEGATE_JOURNAL="+p.dsn)
	c := y.start("run", "plan.yaml")
	y.pid("first", "child")
	p.pull()
	y.write("free", "")
	y.await("the end of the step", func() bool { return y.stopped("first") })
	p.mend()
	c.ends(ExitDone)
	y.output("audit", firstWord(y.output("status")))
}

// It stays away: the run ends, nothing more is done, and once the database is
// back the next call knows what was.
func TestRunWhoseJournalStaysAwayEndsAndGoesOn(t *testing.T) {
	t.Parallel()
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("long, a minute of waiting: run by make soak")
	}
	p := newPlug(t, postgrestest.Database(t).Reveal())
	y := newToy(t, waiting, calm, calm)
	y.environ = append(y.environ, "PHASEGATE_JOURNAL="+p.dsn)
	c := y.start("run", "plan.yaml")
	y.pid("first", "child")
	p.pull()
	y.write("free", "")
	said := c.ends(ExitFailed)
	for _, want := range []string{"the journal's database was away for 1m0s", "hint: bring the database back, then go on with the run"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if !y.stopped("first") || y.stopped("second") {
		t.Error("something was done that could not be written down")
	}
	p.mend()
	y.output("status")
	if said := y.calls(ExitDone, "run", "plan.yaml"); !strings.Contains(said, "goes on: it was ") {
		t.Errorf("it says:\n%s", said)
	}
}

// A run that waits for its journal can be stopped at once, and is whole.
func TestSecondSignalEndsTheWaitForAJournal(t *testing.T) {
	t.Parallel()
	p := newPlug(t, postgrestest.Database(t).Reveal())
	y := newToy(t, waiting, calm, calm)
	y.environ = append(y.environ, "PHASEGATE_JOURNAL="+p.dsn)
	c := y.start("run", "plan.yaml")
	y.pid("first", "child")
	p.pull()
	y.write("free", "")
	y.await("the end of the step", func() bool { return y.stopped("first") })
	c.gets(syscall.SIGINT)
	y.await("the first signal's message", func() bool { return y.stopping(c) })
	c.gets(syscall.SIGINT)
	if said := c.ends(ExitInterrupted); !strings.Contains(said, "phasegate run plan.yaml goes on with the run") {
		t.Errorf("it says:\n%s", said)
	}
	p.mend()
	y.calls(ExitDone, "run", "plan.yaml")
}

func (y *toy) stopped(name string) bool {
	_, err := os.Stat(y.path(name, "stopped"))
	return err == nil
}

// firstWord is that of the second line, below the heads of a table.
func firstWord(table string) string {
	_, row, _ := strings.Cut(table, "\n")
	return strings.Fields(row)[0]
}
