package schema

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5/pgconn"
)

// revisionsTable is where the history of a database is kept: in the database
// itself, so that it goes back with the data. Schema, table and columns are those
// of Atlas's own program, which thereby reads and continues the same history:
// https://atlasgo.io/versioned/apply#schema-revision-information.
const revisionsTable = "atlas_schema_revisions"

const createRevisions = `
	create schema if not exists atlas_schema_revisions;
	create table if not exists atlas_schema_revisions.atlas_schema_revisions (
		version          varchar primary key,
		description      varchar not null,
		type             bigint not null default 2,
		applied          bigint not null default 0,
		total            bigint not null default 0,
		executed_at      timestamptz not null,
		execution_time   bigint not null,
		error            text,
		error_stmt       text,
		hash             varchar not null,
		partial_hashes   jsonb,
		operator_version varchar not null
	)`

// revisions is the history, on the one session that also runs the migrations.
type revisions struct {
	conn *sql.Conn

	// While held, a revision is kept back until flush. In the transaction of a
	// migration only its last state matters.
	held    bool
	pending *migrate.Revision

	// The next revision ends the transaction that has been begun for the one
	// statement it records.
	commits bool

	// What was read, so that it is read once and not for each migration. The
	// lock on the database keeps other writers away.
	isKnown bool
	known   []*migrate.Revision

	// The files that are applied, nil where nothing was there to compare them with.
	folder *folder
}

// Ident names the table.
func (r *revisions) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: revisionsTable, Schema: revisionsTable}
}

// create makes the table if it is not there.
func (r *revisions) create(ctx context.Context) error {
	if _, err := r.conn.ExecContext(ctx, createRevisions); err != nil {
		return fmt.Errorf("make the table of revisions: %w", err)
	}
	return nil
}

// ReadRevisions returns the history in the order of versions, empty if there is
// no table.
func (r *revisions) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	if err := r.learn(ctx); err != nil {
		return nil, err
	}
	copies := make([]*migrate.Revision, len(r.known))
	for i, revision := range r.known {
		again := *revision
		copies[i] = &again
	}
	return copies, nil
}

// learn reads the table if what is in it is not known.
func (r *revisions) learn(ctx context.Context) (err error) {
	if !r.isKnown {
		r.known, err = r.read(ctx)
		r.isKnown = err == nil
	}
	return err
}

// read reads the table. Rows whose version begins with a dot are not revisions.
func (r *revisions) read(ctx context.Context) ([]*migrate.Revision, error) {
	rows, err := r.conn.QueryContext(ctx, `
		select version, description, type, applied, total, executed_at, execution_time,
		       coalesce(error, ''), coalesce(error_stmt, ''), hash, coalesce(partial_hashes, '[]'), operator_version
		  from atlas_schema_revisions.atlas_schema_revisions
		 where version not like '.%'
		 order by version collate "C"`)
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == undefinedTable {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the table of revisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var history []*migrate.Revision
	for rows.Next() {
		revision := &migrate.Revision{}
		var partial []byte
		err := rows.Scan(&revision.Version, &revision.Description, &revision.Type, &revision.Applied, &revision.Total,
			&revision.ExecutedAt, &revision.ExecutionTime, &revision.Error, &revision.ErrorStmt, &revision.Hash,
			&partial, &revision.OperatorVersion)
		if err == nil {
			err = json.Unmarshal(partial, &revision.PartialHashes)
		}
		if err != nil {
			return nil, fmt.Errorf("read the table of revisions: %w", err)
		}
		history = append(history, revision)
	}
	return history, rows.Err()
}

// ReadRevision returns one revision, or migrate.ErrRevisionNotExist.
func (r *revisions) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	if err := r.learn(ctx); err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(r.known, version, byVersion)
	if !found {
		return nil, migrate.ErrRevisionNotExist
	}
	again := *r.known[i]
	return &again, nil
}

func byVersion(revision *migrate.Revision, version string) int {
	return strings.Compare(revision.Version, version)
}

// WriteRevision records a revision, or its new state.
func (r *revisions) WriteRevision(ctx context.Context, revision *migrate.Revision) error {
	if r.held {
		r.pending = revision
		return nil
	}
	commits := r.commits
	r.commits, r.isKnown = false, false
	switch {
	case commits:
		return r.write(ctx, asConnected, revision, "; commit")
	case inTransaction(r.conn): // the file's own, whose account a SET LOCAL would change
		return r.write(ctx, "", revision, "")
	}
	return r.write(ctx, asConnected, revision, "")
}

// asConnected has one transaction go on as the account that connected: that of a
// SET ROLE in a migration need not be allowed to write the history.
const asConnected = "set local session_authorization to default; set local role to default; "

// write records a revision between other statements, all in one message to the
// server.
func (r *revisions) write(ctx context.Context, before string, revision *migrate.Revision, more string) error {
	partial, err := json.Marshal(revision.PartialHashes)
	if err != nil {
		return err
	}
	r.renew(revision)
	_, err = r.conn.ExecContext(ctx, before+fmt.Sprintf(`
		insert into atlas_schema_revisions.atlas_schema_revisions
		       (version, description, type, applied, total, executed_at, execution_time,
		        error, error_stmt, hash, partial_hashes, operator_version)
		values (%s, %s, %d, %d, %d, %s, %d, nullif(%s, ''), nullif(%s, ''), %s, %s, %s)
		on conflict (version) do update
		   set applied = excluded.applied, total = excluded.total, executed_at = excluded.executed_at,
		       execution_time = excluded.execution_time, error = excluded.error, error_stmt = excluded.error_stmt,
		       hash = excluded.hash, partial_hashes = excluded.partial_hashes, operator_version = excluded.operator_version%s`,
		literal(revision.Version), literal(revision.Description), int64(revision.Type), revision.Applied, revision.Total,
		literal(revision.ExecutedAt.Format(time.RFC3339Nano)), int64(revision.ExecutionTime), literal(revision.Error),
		literal(revision.ErrorStmt), literal(revision.Hash), literal(string(partial)), literal(revision.OperatorVersion), more))
	return err
}

// renew has the record of a file that was mended after a part of it had failed tell
// the file as it is now. Atlas keeps the checksum of the first try.
func (r *revisions) renew(revision *migrate.Revision) {
	if r.folder == nil || revision.Hash == "" {
		return
	}
	if file, ok := r.folder.version(revision.Version); ok {
		revision.Hash = r.folder.sum(file)
	}
}

// DeleteRevision takes a revision out of the history.
func (r *revisions) DeleteRevision(ctx context.Context, version string) error {
	r.isKnown = false
	_, err := r.conn.ExecContext(ctx,
		`delete from atlas_schema_revisions.atlas_schema_revisions where version = $1`, version)
	return err
}

// hold keeps what is written back until flush or drop.
func (r *revisions) hold() { r.held, r.pending = true, nil }

// flush runs the statements of before, writes what was kept back, and commits.
func (r *revisions) flush(ctx context.Context, before string) error {
	revision := r.pending
	r.held, r.pending = false, nil
	if revision == nil {
		_, err := r.conn.ExecContext(ctx, before+"commit")
		return err
	}
	if err := r.write(ctx, before, revision, "; commit"); err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(r.known, revision.Version, byVersion)
	if found {
		r.known[i] = revision
	} else {
		r.known = slices.Insert(r.known, i, revision)
	}
	return nil
}

// drop forgets what was kept back and what is known.
func (r *revisions) drop() { r.held, r.pending, r.isKnown = false, nil, false }
