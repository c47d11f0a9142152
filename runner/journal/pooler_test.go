package journal

import (
	"context"
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
	dsn     string
	session bool

	mu     sync.Mutex // held by the client whose transaction is open
	shared *pgproto3.Frontend
}

// startPooler returns a DSN that leads through a new pooler.
func startPooler(t *testing.T, dsn string, session bool) string {
	t.Helper()
	p := &pooler{dsn: dsn, session: session}
	server, err := p.server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.shared = server.Frontend
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close(); _ = server.Conn.Close() })
	go func() {
		for number := uint32(1); ; number++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client, number)
		}
	}()
	return edited(t, dsn, func(u *url.URL) { u.Host = listener.Addr().String() })
}

func (p *pooler) server(ctx context.Context) (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(ctx, p.dsn)
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

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
	if !p.session {
		if backend.Flush() == nil {
			p.takeTurns(backend)
		}
		return
	}
	server, err := p.server(context.Background())
	if err != nil || backend.Flush() != nil {
		return
	}
	defer server.Conn.Close()
	go func() { _, _ = io.Copy(client, server.Conn) }()
	_, _ = io.Copy(server.Conn, client)
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
