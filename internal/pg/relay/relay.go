// Package relay stands between pg_dump and the server, and hears the rows that the
// server sends it. pg_dump gets what the server sends, byte for byte; what it makes
// of that can be compared with what was heard.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Relay is an address on this machine for one session of one of libpq's programs,
// run by this account. We log in at the server, with the same driver and for the
// same reasons as everywhere else, so that the program needs no password.
type Relay struct {
	database, user string
	dir            string // nobody else may enter it
	listener       *net.UnixListener
	serving        sync.WaitGroup
	ear            ear
	err            error // why there was no session
}

// port is a part of the socket's name, and no port.
const port = "5432"

// Open makes the address. The session that comes is taken on to the server that
// dsn names, until ctx ends. Rows are counted, and their content is summed up if hash
// says so.
func Open(ctx context.Context, dsn redact.Secret, hash bool) (*Relay, error) {
	config, err := pg.Parse(dsn)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "phasegate-") // with the mode 0700
	if err != nil {
		return nil, fmt.Errorf("make a socket for pg_dump: %w", err)
	}
	path := filepath.Join(dir, ".s.PGSQL."+port)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, errors.Join(task.Hint(fmt.Errorf("make a socket for pg_dump: %w", err),
			"the path may have some 100 bytes: name a shorter directory in TMPDIR"), os.RemoveAll(dir))
	}
	r := &Relay{database: config.Database, user: config.User, dir: dir, listener: listener, ear: ear{hash: hash}}
	r.serving.Go(func() { r.err = r.serve(ctx, dsn) })
	return r, nil
}

// Env returns the variables with which a program comes here, whatever the
// environment says otherwise. There is no secret among them.
func (r *Relay) Env() []string {
	return []string{
		"PGHOST=" + r.dir, "PGPORT=" + port, "PGDATABASE=" + r.database, "PGUSER=" + r.user,
		"PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGCHANNELBINDING=disable", "PGTARGETSESSIONATTRS=any",
		"PGREQUIREAUTH=", "PGOPTIONS=", "PGSERVICE", "PGHOSTADDR", "PGPASSWORD",
	}
}

// Close waits for the session's end, once its program has ended, and returns the
// tables whose rows were heard, with their number and what was asked of their content. Its error is why
// there was no session: the program could say only that it got none.
func (r *Relay) Close() ([]pg.Table, error) {
	_ = r.listener.Close()
	r.serving.Wait()
	return r.ear.tables, errors.Join(r.err, os.RemoveAll(r.dir))
}

// serve takes the first session that comes to the server, where we log in while the
// program starts.
func (r *Relay) serve(ctx context.Context, dsn redact.Secret) error {
	server, failed := login(ctx, dsn)
	if failed == nil {
		defer server.Conn.Close()
	}
	program, err := r.listener.Accept()
	if err != nil {
		return failed // nobody came
	}
	defer program.Close()
	defer context.AfterFunc(ctx, func() { _ = program.Close() })()
	// Nobody else comes, and nothing is left if we are killed from here on.
	_ = r.listener.Close()
	_ = os.RemoveAll(r.dir)
	if failed != nil {
		return failed
	}
	if err := welcome(program, server); err != nil {
		return fmt.Errorf("let pg_dump in: %w", err)
	}
	r.ear.between(program, server.Conn)
	return nil // what happened to the session the program tells
}

// login opens a session at the server in which values print as in ours.
func login(ctx context.Context, dsn redact.Secret) (*pgconn.HijackedConn, error) {
	conn, err := pg.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	// Every other setting that shows in a dump is pg_dump's own business.
	if _, err = conn.Exec(ctx, "set timezone to 'UTC'; set bytea_output to 'hex'"); err == nil {
		err = conn.PgConn().SyncConn(ctx)
	}
	if err != nil {
		pg.Close(conn)
		return nil, fmt.Errorf("open a session for pg_dump: %w", err)
	}
	return conn.PgConn().Hijack()
}

// welcome answers a program that wants to log in as the server has answered us.
// What it asks for itself is passed over: the session is there already.
func welcome(program net.Conn, server *pgconn.HijackedConn) error {
	front := pgproto3.NewBackend(program, program)
	if message, err := front.ReceiveStartupMessage(); err != nil {
		return err
	} else if _, ok := message.(*pgproto3.StartupMessage); !ok {
		return fmt.Errorf("%T in place of a login", message)
	}
	front.Send(&pgproto3.AuthenticationOk{})
	for name, value := range server.ParameterStatuses {
		front.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	front.Send(&pgproto3.BackendKeyData{ProcessID: server.PID, SecretKey: server.SecretKey})
	front.Send(&pgproto3.ReadyForQuery{TxStatus: server.TxStatus})
	return front.Flush()
}
