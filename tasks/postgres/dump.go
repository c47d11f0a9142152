package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// dump writes the archive to path and, at the same time, reads the tables in the
// same snapshot. What it returns is not proven yet.
func (b *Backup) dump(ctx context.Context, env *task.Env, path string) (Metadata, error) {
	snapshot, err := pg.OpenSnapshot(ctx, b.DSN, b.LockWait)
	if err != nil {
		return Metadata{}, err
	}
	defer snapshot.Close()
	m, dump, err := b.describe(ctx, snapshot)
	if err != nil {
		return m, err
	}
	size, err := archiveSize(ctx, snapshot.Conn())
	if err != nil {
		return m, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		reading sync.WaitGroup
		readErr error
	)
	reading.Go(func() {
		if readErr = snapshot.Read(ctx, m.Tables, b.Jobs, b.reader()); readErr != nil {
			cancel(readErr)
		}
	})
	archive := &archive{progress: func(n int64) { env.Progress(min(n, int64(size)), int64(size), "bytes") }}
	dumpErr := archive.write(path, func() error { return b.runDump(ctx, dump, snapshot.ID, m.Encoding, archive) })
	if dumpErr != nil {
		cancel(dumpErr)
	}
	reading.Wait()
	if dumpErr != nil || readErr != nil {
		// Whichever failed first ended the other.
		return m, context.Cause(ctx)
	}
	m.ArchiveBytes, m.Bytes, m.SHA256 = archive.in, archive.out, hex.EncodeToString(archive.digest.Sum(nil))
	return m, nil
}

// reader is how the tables are read at the chosen level.
func (b *Backup) reader() func(context.Context, *pgx.Conn, *pg.Table) error {
	if b.Level == Counts {
		return pg.Count
	}
	return pg.Sum
}

// describe collects what is known before a row is read.
func (b *Backup) describe(ctx context.Context, snapshot *pg.Snapshot) (Metadata, tool, error) {
	conn := snapshot.Conn()
	dump, restore, err := dumpTools(ctx, conn)
	if err != nil {
		return Metadata{}, tool{}, err
	}
	m := Metadata{
		Format: metadataFormat, Archive: archiveFormat, Level: b.Level,
		Snapshot: snapshot.Visible, TakenAt: snapshot.Taken.UTC(),
		Encoding:   pg.ClientEncoding(conn.PgConn().ParameterStatus("server_encoding")),
		PlanDigest: b.PlanDigest, Run: b.RunID, Commit: b.Commit, Tools: toolVersions(dump, restore),
	}
	seen, err := describeServer(ctx, conn)
	if err != nil {
		return m, dump, err
	}
	m.Database, m.ServerVersion = seen.Database, seen.ServerVersion
	m.Tables, err = pg.Tables(ctx, conn)
	return m, dump, err
}

// runDump has pg_dump write the uncompressed archive of the snapshot to w.
// Compressing is left to us: zstd is three times as fast as pg_dump's own gzip.
func (b *Backup) runDump(ctx context.Context, dump tool, snapshot, encoding string, w *archive) error {
	env, err := pg.Env(b.DSN)
	if err != nil {
		return err
	}
	err = command.Command{
		Argv: []string{
			dump.path, "--format=custom", "--compress=0", "--no-password", "--snapshot=" + snapshot,
			"--encoding=" + encoding, fmt.Sprintf("--lock-wait-timeout=%d", b.LockWait.Milliseconds()),
		},
		Env: env, Stdout: w, Mask: redact.NewMasker(b.DSN),
	}.Run(ctx)
	if w.err != nil && ctx.Err() == nil {
		// pg_dump ended because we could not write: its own words only say so.
		return w.err
	}
	return err
}

// An archive compresses what is written to it into a file, and sums the file up.
type archive struct {
	progress func(in int64)

	file    *os.File
	zstd    *zstd.Encoder
	digest  hash.Hash
	in, out int64 // bytes before and after compression
	err     error // the first one that a Write returned
}

// write makes the file, calls produce, which writes to the archive, and puts the
// file onto the disk.
func (a *archive) write(path string, produce func() error) (err error) {
	a.file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.file.Close()) }()
	a.digest = sha256.New()
	// One goroutine compresses twice as fast as pg_dump writes; more cost a sixth
	// more of the processor, which the server may need itself.
	a.zstd, err = zstd.NewWriter(compressed{a}, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if err := produce(); err != nil {
		_ = a.zstd.Close()
		return err
	}
	if err := a.zstd.Close(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return a.file.Sync()
}

// Write takes a piece of the uncompressed archive.
func (a *archive) Write(p []byte) (int, error) {
	n, err := a.zstd.Write(p)
	a.in += int64(n)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("write the archive: %w", err)
	}
	a.progress(a.in)
	return n, err
}

// compressed is the archive's other side.
type compressed struct{ *archive }

func (c compressed) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	c.digest.Write(p[:n])
	c.out += int64(n)
	return n, err
}

// archiveSize is how many bytes the file of a backup will have at most, but for
// very odd data: those of all tables without their indexes and a tenth more.
// Compression makes a third to a fifth of it as a rule.
func archiveSize(ctx context.Context, conn *pgx.Conn) (task.Bytes, error) {
	tables, err := pg.Tables(ctx, conn)
	if err != nil {
		return 0, err
	}
	var size int64
	if err := conn.QueryRow(ctx, "select pg_table_size('pg_catalog.pg_largeobject')").Scan(&size); err != nil {
		return 0, fmt.Errorf("look at the size of the large objects: %w", err)
	}
	for _, t := range tables {
		size += t.Bytes
	}
	return task.Bytes(size + size/10), nil
}
