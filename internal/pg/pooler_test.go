package pg_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestPoolerInTransactionModeIsRefused(t *testing.T) {
	t.Parallel()
	pooler := startPooler(t, postgrestest.Database(t), false)
	_, err := pg.Acquire(t.Context(), pooler)
	if err == nil || !strings.Contains(err.Error(), "connection pooler in transaction mode") {
		t.Errorf("through a transaction pooler: %v", err)
	}
	if !strings.Contains(task.HintOf(err), "server's own address") {
		t.Errorf("hint %q", task.HintOf(err))
	}
}

func TestPoolerInSessionModeIsLetThrough(t *testing.T) {
	t.Parallel()
	conn := connect(t, startPooler(t, postgrestest.Database(t), true))
	if err := pg.Direct(t.Context(), conn); err != nil {
		t.Errorf("through a session pooler: %v", err)
	}
}

func TestDirectConnectionIsKnown(t *testing.T) {
	t.Parallel()
	if err := pg.Direct(t.Context(), connect(t, postgrestest.Database(t))); err != nil {
		t.Error(err)
	}
}

// pooler hands a session of the server to one client after the other, as
// PgBouncer does, with process numbers of its own. It speaks the simple query
// protocol only.
type pooler struct {
	dsn     string
	session bool // a session for each client, or one for all, a transaction at a time

	mu     sync.Mutex // held by the client whose transaction is open
	shared *pgproto3.Frontend
}

func startPooler(t *testing.T, dsn redact.Secret, session bool) redact.Secret {
	t.Helper()
	p := &pooler{dsn: dsn.Reveal(), session: session}
	frontend, err := p.server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.shared = frontend
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
			go p.serve(client, number)
		}
	}()
	return redact.NewSecret(edit(t, dsn, func(u *url.URL) {
		u.Host = listener.Addr().String()
		u.RawQuery = "sslmode=disable"
	}))
}

func (p *pooler) server(ctx context.Context) (*pgproto3.Frontend, error) {
	conn, err := pgconn.Connect(ctx, p.dsn)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	return hijacked.Frontend, nil
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
	server := p.shared
	if p.session {
		var err error
		if server, err = p.server(context.Background()); err != nil {
			return
		}
	}
	if err := backend.Flush(); err != nil {
		return
	}
	open := false
	defer func() {
		if open && !p.session {
			p.mu.Unlock()
		}
	}()
	for {
		message, err := backend.Receive()
		query, ok := message.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		if !p.session && !open {
			p.mu.Lock()
		}
		if open, err = relay(backend, server, query); err != nil {
			fmt.Println("pooler:", err)
			return
		}
		if !p.session && !open {
			p.mu.Unlock()
		}
	}
}

// relay sends a query on, and its answer back. It returns whether a transaction
// is open then.
func relay(client *pgproto3.Backend, server *pgproto3.Frontend, query *pgproto3.Query) (open bool, err error) {
	server.Send(query)
	if err := server.Flush(); err != nil {
		return false, err
	}
	for {
		message, err := server.Receive()
		if err != nil {
			return false, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus != 'I', client.Flush()
		}
	}
}
