package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"sync"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A wire stands between a task and the server. It counts what the task asks of
// the server, over all its connections, and at one of these requests something
// happens: the connections are cut, or the process that asks is killed.
type wire struct {
	at     int  // which request, from 1
	after  bool // happens when the server has it, else before
	happen func()

	mu    sync.Mutex
	seen  int
	conns []net.Conn
}

// tap returns a connection string that leads through the wire.
func (w *wire) tap(t testing.TB, dsn redact.Secret) redact.Secret {
	t.Helper()
	u, err := url.Parse(dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close(); w.cut() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, client, upstream)
			w.mu.Unlock()
			go func() { _, _ = io.Copy(client, upstream); _ = client.Close() }()
			go func() { w.forward(client, upstream); _ = upstream.Close() }()
		}
	}()
	u.Host = listener.Addr().String()
	return redact.NewSecret(u.String())
}

// forward passes a client's messages on, one at a time.
func (w *wire) forward(client io.Reader, server io.Writer) {
	for startup := true; ; startup = false {
		message, err := readMessage(client, startup)
		if err != nil {
			return
		}
		var happen func()
		if !startup {
			happen = w.due(message)
		}
		if happen != nil && !w.after {
			happen()
			return
		}
		if _, err := server.Write(message); err != nil {
			return
		}
		if happen != nil {
			happen()
		}
	}
}

// changes finds the requests that change something.
var changes = regexp.MustCompile(`(?i)(alter|create|drop|comment on|grant .* on) database|pg_terminate_backend|commit`)

// due counts the requests: those that change something, and in a soak all: a
// query, the parsing of a statement, its execution. At the chosen one it returns
// what is to happen.
func (w *wire) due(message []byte) (happen func()) {
	if kind := message[0]; kind != 'Q' && kind != 'P' && kind != 'E' {
		return nil
	}
	if os.Getenv("PHASEGATE_SOAK") == "" && !changes.Match(message) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen++; w.seen != w.at {
		return nil
	}
	return w.happen
}

// reached tells whether there were so many requests.
func (w *wire) reached() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at > 0 && w.seen >= w.at
}

// cut closes every connection.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// readMessage reads one message of the protocol. The first of a connection has
// no type.
func readMessage(r io.Reader, startup bool) ([]byte, error) {
	head := 5
	if startup {
		head = 4
	}
	message := make([]byte, head, 512)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(message[head-4:])) - 4
	message = append(message, make([]byte, length)...)
	_, err := io.ReadFull(r, message[head:])
	return message, err
}
