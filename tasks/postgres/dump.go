package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	format "github.com/medlogistics/phasegate/internal/pg/archive"
	"github.com/medlogistics/phasegate/internal/pg/relay"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// dump writes the archive to path and, at the same time, counts or hashes what the
// server sends of the tables and reads the file back. It returns when the file is
// on the disk and proven.
func (b *Backup) dump(ctx context.Context, env *task.Env, with means, path string) (Metadata, error) {
	keys, err := b.keys()
	if err != nil {
		return Metadata{}, err
	}
	snapshot, look, err := b.open(ctx, with)
	if err != nil {
		return Metadata{}, err
	}
	defer snapshot.Close()
	defer look.Close()
	m, err := b.begin(ctx, snapshot, look, with)
	if err != nil {
		return m, err
	}
	archive, err := createArchive(path, keys.recipients, func(n int64) { env.Progress(min(n, int64(with.size)), int64(with.size), "bytes") })
	if err != nil {
		return m, err
	}
	defer archive.file.Close()
	var (
		contents format.Contents
		sum      string
		heard    []pg.Table
	)
	err = together(ctx,
		func(ctx context.Context) error { return b.describe(ctx, env.Log, look, &m) },
		func(ctx context.Context) error {
			return archive.write(func() (err error) {
				heard, err = b.runDump(ctx, with.dump, snapshot.ID, m.Encoding, archive)
				return err
			})
		},
		func(ctx context.Context) (err error) {
			contents, sum, err = readBack(ctx, archive, keys, func(n int64) { env.Progress(n, archive.out, "bytes") })
			return err
		},
	)
	if err == nil {
		err = m.hear(heard)
	}
	if err != nil {
		return m, err
	}
	m.describeFile(archive, keys, sum)
	after, err := sequences(ctx, look)
	if err != nil {
		return m, err
	}
	return m, m.prove(contents, pg.SequencesBetween(m.Sequences, after, contents.Sequences))
}

// open takes the snapshot, and opens a session that sees it.
func (b *Backup) open(ctx context.Context, with means) (*pg.Snapshot, *pg.Look, error) {
	snapshot, err := pg.SnapshotOn(ctx, with.conn, b.DSN, b.LockWait)
	if err != nil {
		return nil, nil, err
	}
	look, err := snapshot.Look(ctx)
	if err != nil {
		snapshot.Close()
		return nil, nil, err
	}
	return snapshot, look, nil
}

// readBack reads the archive from the disk while it grows, as a restore would, and
// returns the SHA-256 of what the disk gave too. Whether that is what was written,
// zstd's own checksum of 32 bits tells, and age's; for the rows their hashes do. It
// calls progress with the bytes that were read of the file once that is whole.
func readBack(ctx context.Context, archive *archive, keys keys, progress func(read int64)) (format.Contents, string, error) {
	source := newSource(archive.follow(ctx), keys.throwaway, func(n int64) {
		if archive.growth.whole() {
			progress(n)
		}
	})
	defer source.Close()
	contents, err := format.Read(source)
	if errors.Is(err, format.ErrVersion) {
		return contents, "", task.Hint(err, "use the client programs of PostgreSQL 18 or older, named in PG_BIN")
	}
	if failed := archive.growth.failure(); failed != nil {
		return contents, "", failed // its writer's error, not ours
	}
	if source.err != nil {
		return contents, "", task.Hint(fmt.Errorf("%w: the disk does not give back what was written to it: %w", ErrDamaged, source.err),
			"look at the disk, or name a directory on another one")
	}
	if err != nil {
		return contents, "", fmt.Errorf("read the archive back: %w", err)
	}
	return contents, source.sum(), nil
}

// together runs the functions at the same time. The first that fails ends the
// others, and its error is returned.
func together(ctx context.Context, functions ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for _, run := range functions {
		running.Go(func() {
			if err := run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// readOther reads, at the chosen level, what is not heard as pg_dump reads it: the
// large objects, and those tables that it takes only a part of.
func (b *Backup) readOther(ctx context.Context, conn *pgx.Conn, m *Metadata) (err error) {
	read, readLarge := pg.Sum, pg.SumLarge
	if b.Level == Counts {
		read, readLarge = pg.Count, pg.CountLarge
	}
	for i := range m.Tables {
		if !m.Tables[i].Partial() {
			continue
		}
		if err := read(ctx, conn, &m.Tables[i]); err != nil {
			return err
		}
	}
	m.LargeObjects, err = readLarge(ctx, conn)
	return err
}

// hear notes what pg_dump was sent of the tables. It must be all of each.
func (m *Metadata) hear(sent []pg.Table) error {
	found := map[string]pg.Table{}
	for _, t := range sent {
		found[t.String()] = t
	}
	var missing []string
	for i := range m.Tables {
		t := &m.Tables[i]
		if t.Partial() {
			continue
		}
		heard, ok := found[t.String()]
		if !ok || !slices.Equal(heard.Columns, t.Columns) {
			missing = append(missing, fmt.Sprintf("pg_dump has not read all of table %s", t))
		}
		t.Rows, t.Hash = heard.Rows, heard.Hash
	}
	return differ("the backup", missing)
}

// begin collects what has to be known before pg_dump reads anything. Sequences are in
// no snapshot: see pg.SequencesBetween.
func (b *Backup) begin(ctx context.Context, snapshot *pg.Snapshot, look *pg.Look, with means) (m Metadata, err error) {
	m = Metadata{
		Format: metadataFormat, Archive: archiveFormat, Level: b.Level,
		Snapshot: snapshot.Visible, TakenAt: snapshot.Taken.UTC(), Tools: toolVersions(with.dump, with.restore),
		Encoding:   pg.ClientEncoding(snapshot.Conn().PgConn().ParameterStatus("server_encoding")),
		PlanDigest: b.PlanDigest, Run: b.RunID, Commit: b.Commit,
	}
	m.Sequences, err = sequences(ctx, look)
	return m, err
}

// sequences are those of the snapshot, where they stand now.
func sequences(ctx context.Context, look *pg.Look) (list []pg.Sequence, err error) {
	err = look.At(ctx, func(conn *pgx.Conn) (err error) {
		list, err = pg.Sequences(ctx, conn)
		return err
	})
	return list, err
}

// describe notes in m what the snapshot shows of the database, and what of it is in no
// backup. Rows are read last and by themselves: it may take long.
func (b *Backup) describe(ctx context.Context, log *slog.Logger, look *pg.Look, m *Metadata) error {
	err := look.At(ctx, func(conn *pgx.Conn) error { return m.list(ctx, conn) })
	if err != nil {
		return err
	}
	m.warn(log)
	return look.At(ctx, func(conn *pgx.Conn) error { return b.readOther(ctx, conn, m) })
}

// list notes what the database consists of.
func (m *Metadata) list(ctx context.Context, conn *pgx.Conn) error {
	seen, err := describeServer(ctx, conn)
	if err != nil {
		return err
	}
	m.Database, m.ServerVersion = seen.Database, seen.ServerVersion
	if m.Server, m.LogicalSlots, err = identify(ctx, conn); err != nil {
		return err
	}
	if m.Tables, err = pg.Tables(ctx, conn); err != nil {
		return err
	}
	if m.Objects, err = pg.Objects(ctx, conn); err != nil {
		return err
	}
	m.Roles, err = pg.Roles(ctx, conn)
	return err
}

// describeFile notes what is known of the file when it is written.
func (m *Metadata) describeFile(a *archive, k keys, sha256 string) {
	m.ArchiveBytes, m.Bytes, m.SHA256 = a.in, a.out, sha256
	m.Encryption, m.Recipients = k.method(), len(k.recipients)-len(k.throwaway)
}

// warn tells what of the database is in no backup.
func (m Metadata) warn(log *slog.Logger) {
	if len(m.LogicalSlots) > 0 {
		log.Warn("the database has logical replication slots, which no backup holds: after a restore their readers have to begin anew",
			"slots", m.LogicalSlots)
	}
}

// identify tells which cluster it is and which logical slots the database has.
func identify(ctx context.Context, conn *pgx.Conn) (server string, slots []string, err error) {
	var allowed bool
	if err = conn.QueryRow(ctx, "select has_function_privilege('pg_control_system()', 'execute')").Scan(&allowed); err == nil && allowed {
		err = conn.QueryRow(ctx, "select system_identifier::text from pg_control_system()").Scan(&server)
	}
	if err == nil {
		err = conn.QueryRow(ctx, `
			select coalesce(array_agg(slot_name::text order by slot_name), '{}') from pg_replication_slots
			 where database = current_database() and slot_type = 'logical'`).Scan(&slots)
	}
	if err != nil {
		return "", nil, fmt.Errorf("look at the server: %w", err)
	}
	return server, slots, nil
}

// runDump has pg_dump write the uncompressed archive of the snapshot to w, and returns
// the tables that the server sent it. Compressing is left to us: zstd is three times as
// fast as pg_dump's own gzip.
func (b *Backup) runDump(ctx context.Context, dump tool, snapshot, encoding string, w *archive) ([]pg.Table, error) {
	line, err := relay.Open(ctx, b.DSN, b.Level == Full)
	if err != nil {
		return nil, err
	}
	err = piped(w, func(to *os.File) error {
		return command.Command{
			Argv: []string{
				dump.path, "--format=custom", "--compress=0", "--no-password", "--snapshot=" + snapshot,
				"--encoding=" + encoding, fmt.Sprintf("--lock-wait-timeout=%d", b.LockWait.Milliseconds()),
			},
			Env: line.Env(), Stdout: to, Mask: redact.NewMasker(b.DSN),
		}.Run(ctx)
	})
	heard, failed := line.Close()
	switch {
	case ctx.Err() != nil:
	case failed != nil:
		return nil, failed // pg_dump could only say that nobody answered
	case w.err != nil:
		return nil, w.err // pg_dump ended because we could not write: it could only say so
	}
	return heard, err
}

const (
	// pipeSize is how much pg_dump may be ahead of the compression, in bytes: more
	// than the system's 64 kB, so that neither waits for the other at each turn.
	pipeSize = 1 << 20

	// A gulp is as much as is worth waking up for, in bytes. pg_dump writes 4 kB at
	// a time; a pause is short enough for the pipe not to be full by its end.
	gulp      = pipeSize / 8
	gulpPause = 2 * time.Millisecond
)

// gulps reads a pipe that is filled in small pieces, a gulp at a time as a rule.
type gulps struct{ from *os.File }

func (g gulps) Read(p []byte) (int, error) {
	n, err := g.from.Read(p)
	if n < gulp && err == nil {
		time.Sleep(gulpPause)
	}
	return n, err
}

// piped has produce write to a pipe, and copies what comes out of it to w.
func piped(w io.Writer, produce func(to *os.File) error) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()
	widen(to, pipeSize)
	var (
		copying sync.WaitGroup
		copyErr error
	)
	copying.Go(func() {
		_, copyErr = io.CopyBuffer(w, gulps{from}, make([]byte, pipeSize/2))
		_ = from.Close() // the writer must not wait for us
	})
	err = produce(to)
	_ = to.Close()
	copying.Wait()
	if err == nil {
		err = copyErr
	}
	return err
}
