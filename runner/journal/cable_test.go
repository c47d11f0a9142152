package journal

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A cable is the network between a client and its server, which a test can cut.
type cable struct {
	dsn    string // leads through the cable
	server string

	mu    sync.Mutex
	cut   bool
	left  int // bytes that still go to the server, then the cable is cut; negative is no limit
	deaf  bool
	pairs map[net.Conn]net.Conn
}

func newCable(t *testing.T, dsn string) *cable {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{server: u.Host, left: -1, pairs: map[net.Conn]net.Conn{}}
	u.Host = listener.Addr().String()
	c.dsn = u.String()
	t.Cleanup(func() { _ = listener.Close(); c.pull() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			c.join(client)
		}
	}()
	return c
}

func (c *cable) join(client net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	server, err := net.Dial("tcp", c.server)
	if err != nil || c.cut {
		_ = client.Close()
		return
	}
	c.pairs[client] = server
	go c.carry(server, client, c.toServer)
	go c.carry(client, server, c.toClient)
}

func (c *cable) carry(to io.WriteCloser, from io.ReadCloser, pass func(int) int) {
	block := make([]byte, 32<<10)
	for {
		n, err := from.Read(block)
		pass := pass(n)
		if _, writeErr := to.Write(block[:pass]); err != nil || writeErr != nil {
			break
		}
		if pass < n {
			c.pull()
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}

// toServer returns how many of the next n bytes reach the server.
func (c *cable) toServer(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return n
	}
	n = min(n, c.left)
	c.left -= n
	return n
}

func (c *cable) toClient(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf {
		return 0
	}
	return n
}

// pull cuts the cable until mend.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for client, server := range c.pairs {
		_ = client.Close()
		_ = server.Close()
		delete(c.pairs, client)
	}
}

// cutAfter cuts the cable once n more bytes have reached the server.
func (c *cable) cutAfter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// loseNextAnswer lets what is asked reach the server, and cuts the cable when
// the answer comes.
func (c *cable) loseNextAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut, c.deaf, c.left = false, false, -1
}

func (c *cable) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}
