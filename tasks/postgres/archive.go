package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// An archive compresses what is written to it into a file, and encrypts it if there
// are recipients. What is on the disk can be read back while it grows: see
// [archive.follow].
type archive struct {
	progress func(in int64)

	file    *os.File
	zstd    *zstd.Encoder
	sealed  io.WriteCloser // nil: not encrypted
	growth  growth
	in, out int64 // bytes before and after compression
	err     error // the first one that a Write returned
}

// createArchive makes the file, which may not be there, with mode 0600. It calls
// progress with the bytes of the archive that were written to it.
func createArchive(path string, recipients []age.Recipient, progress func(in int64)) (*archive, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, progress: progress}
	a.growth.init()
	var to io.Writer = compressed{a}
	if len(recipients) > 0 {
		if a.sealed, err = age.Encrypt(to, recipients...); err != nil {
			return nil, errors.Join(fmt.Errorf("encrypt the archive: %w", err), file.Close())
		}
		to = a.sealed
	}
	// One goroutine compresses twice as fast as pg_dump writes; more cost a sixth
	// more of the processor, which the server may need itself.
	a.zstd, err = zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	return a, err
}

// write has produce write to the archive, and puts the end of it onto the disk.
// Whoever follows it gets produce's error, or the end of the file.
func (a *archive) write(produce func() error) (err error) {
	defer func() { a.growth.end(a.out, err) }()
	if err := produce(); err != nil {
		_ = a.zstd.Close() // it holds goroutines, the file is lost anyway
		return err
	}
	err = a.zstd.Close()
	if err == nil && a.sealed != nil {
		err = a.sealed.Close()
	}
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("put the archive onto the disk: %w", err)
	}
	return nil
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

// stretch is how much is written before the disk is set to work on it, and read
// back at a time, in bytes.
const stretch = 4 << 20

func (c compressed) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	before := c.out / stretch * stretch
	c.out += int64(n)
	if whole := c.out / stretch * stretch; whole > before {
		flush(c.file, before, whole-before)
		c.growth.grow(whole)
	}
	return n, err
}

// follow returns a reader of what is on the disk of the file, which waits at its
// end for more, until write has returned or the context ends.
func (a *archive) follow(ctx context.Context) io.Reader {
	context.AfterFunc(ctx, func() { a.growth.end(0, context.Cause(ctx)) })
	return &follower{archive: a}
}

// A follower reads an archive's file while it is being written.
type follower struct {
	archive   *archive
	at, ready int64 // what was read, and what is on the disk and not in memory
}

func (f *follower) Read(p []byte) (int, error) {
	if f.at == f.ready {
		size, err := f.archive.growth.beyond(f.at)
		if err != nil {
			return 0, err
		}
		if err := settle(f.archive.file, f.at, size-f.at); err != nil {
			return 0, err
		}
		f.ready = size
	}
	n, err := f.archive.file.ReadAt(p[:min(int64(len(p)), f.ready-f.at)], f.at)
	f.at += int64(n)
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
