package journal

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A pooler stands between clients and the server as PgBouncer does, with process
// numbers of its own. In session mode a client gets a session for itself; in
// transaction mode all take turns on one, a simple query at a time.
type pooler struct {
	host string // the server's

	mu     sync.Mutex // held by the client whose transaction is open
	shared *pgproto3.Frontend
}

// startPooler returns a DSN that leads through a new pooler.
func startPooler(t *testing.T, dsn string, session bool) string {
	t.Helper()
	p := &pooler{host: mustURL(t, dsn).Host}
	if !session {
		p.shared = sharedSession(t, dsn)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for number := uint32(1); ; number++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if session {
				go p.passThrough(client, number)
			} else {
				go p.serve(client, number)
			}
		}
	}()
	return edited(t, dsn, func(u *url.URL) { u.Host = listener.Addr().String() })
}

func sharedSession(t *testing.T, dsn string) *pgproto3.Frontend {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	server, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Conn.Close() })
	return server.Frontend
}

// passThrough gives the client a session and changes its number only.
func (p *pooler) passThrough(client net.Conn, number uint32) {
	defer client.Close()
	server, err := net.Dial("tcp", p.host)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	for {
		header := make([]byte, 5) // https://www.postgresql.org/docs/current/protocol-message-formats.html
		if _, err := io.ReadFull(server, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if header[0] == 'K' {
			binary.BigEndian.PutUint32(body, 1<<30+number)
		}
		if _, err := client.Write(append(header, body...)); err != nil {
			return
		}
	}
}

// serve gives the client a turn on the shared session for each transaction.
func (p *pooler) serve(client net.Conn, number uint32) {
	defer client.Close()
	backend := pgproto3.NewBackend(client, client)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1<<30 + number, SecretKey: []byte{1, 2, 3, 4}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if backend.Flush() == nil {
		p.takeTurns(backend)
	}
}

func (p *pooler) takeTurns(client *pgproto3.Backend) {
	open := false
	defer func() {
		if open {
			p.mu.Unlock()
		}
	}()
	for {
		message, err := client.Receive()
		query, ok := message.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		if !open {
			p.mu.Lock()
		}
		open, err = p.relay(client, query)
		if !open {
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// relay sends a query on, and its answer back. It returns whether a transaction
// is open then.
func (p *pooler) relay(client *pgproto3.Backend, query *pgproto3.Query) (open bool, err error) {
	p.shared.Send(query)
	if err := p.shared.Flush(); err != nil {
		return false, err
	}
	for {
		message, err := p.shared.Receive()
		if err != nil {
			return false, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus != 'I', client.Flush()
		}
	}
}
