package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// An Identity tells which database a connection string leads to, however it is
// written: by another name of the host, an address, a socket or a pooler.
type Identity struct {
	System uint64 // the cluster's identifier, which its standbys and physical copies share
	OID    uint32 // the database's number in the cluster, which a rename does not change
	Name   string // the database's name
	Host   string // as it was named to phasegate, a socket's directory too
	Port   uint16
}

// ErrUnidentified means that a database answers and does not tell which it is.
var ErrUnidentified = errors.New("the database does not tell which it is")

// Identify returns the identity of the database that dsn names. It changes
// nothing there. No error holds the dsn.
func Identify(ctx context.Context, dsn string) (Identity, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return Identity{}, err
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return Identity{}, err
	}
	defer closeSoon(conn)
	return identify(ctx, conn)
}

// Identity returns the identity of the journal's database.
func (p *Postgres) Identity(ctx context.Context) (found Identity, err error) {
	err = p.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		found, err = identify(ctx, conn)
		return err
	})
	return found, err
}

// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA
func identify(ctx context.Context, conn *pgx.Conn) (Identity, error) {
	found := Identity{Host: conn.Config().Host, Port: conn.Config().Port}
	var system int64
	err := conn.QueryRow(ctx, `
		select s.system_identifier, d.oid, d.datname
		  from pg_control_system() s, pg_database d where d.datname = current_database()`,
		pgx.QueryExecModeSimpleProtocol).Scan(&system, &found.OID, &found.Name)
	if err != nil {
		return Identity{}, &hintedError{
			fmt.Errorf("%w: %s at %s as %s: %w", ErrUnidentified, conn.Config().Database, address(conn.Config()), conn.Config().User, err),
			"grant execute on function pg_control_system() there to this role",
		}
	}
	found.System = uint64(system)
	return found, nil
}

// Same tells whether what is done to one database may be done to the other: it
// is the same one, or has the same name in the same cluster. A physical copy of
// a cluster is taken for the cluster.
func (i Identity) Same(other Identity) bool {
	return i.System == other.System && (i.OID == other.OID || i.Name == other.Name)
}
