package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/runner/task"
)

// An archive compresses what is written to it into a file, encrypts it if there
// are recipients, and sums the file up. What is in the file can be read back
// while it grows: see [archive.follow].
type archive struct {
	progress func(in int64)

	file    *os.File
	zstd    *zstd.Encoder
	sealed  io.WriteCloser // nil: not encrypted
	digest  hash.Hash
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
	a := &archive{file: file, progress: progress, digest: sha256.New()}
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

// write has produce write to the archive, and ends it. Whoever follows it gets
// produce's error, or the end of the file.
func (a *archive) write(produce func() error) (err error) {
	defer func() { a.growth.end(err) }()
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
	return nil
}

// settle puts the file onto the disk and reads it back from there: what is on
// the disk has to be what was written.
func (a *archive) settle(progress func(done, total int64)) error {
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("put the archive onto the disk: %w", err)
	}
	// What the system has in its memory proves nothing. Where it does not listen,
	// this reads from memory.
	forget(a.file)
	back := counted{&source{file: io.NewSectionReader(a.file, 0, math.MaxInt64), digest: sha256.New(), progress: func(n int64) { progress(n, a.out) }}}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{back}, make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("read the archive back: %w", err)
	}
	if back.sum() != a.sum() {
		return task.Hint(fmt.Errorf("%w: the disk gives other bytes than were written to it", ErrDamaged), "look at the disk, or name a directory on another one")
	}
	return nil
}

// sum is the file's SHA-256.
func (a *archive) sum() string { return hex.EncodeToString(a.digest.Sum(nil)) }

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

// stretch is how much is written before the disk is set to work on it, in bytes.
const stretch = 8 << 20

func (c compressed) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	c.digest.Write(p[:n])
	before := c.out
	c.out += int64(n)
	if from := before / stretch * stretch; c.out-from >= stretch {
		flush(c.file, from, stretch)
	}
	c.growth.grow(int64(n))
	return n, err
}

// follow returns a reader of the file that waits at its end for more, until
// write has returned or the context ends.
func (a *archive) follow(ctx context.Context) io.Reader {
	context.AfterFunc(ctx, func() { a.growth.end(context.Cause(ctx)) })
	return &follower{archive: a}
}

// A follower reads an archive's file while it is being written.
type follower struct {
	archive *archive
	at      int64
}

func (f *follower) Read(p []byte) (int, error) {
	there, err := f.archive.growth.beyond(f.at)
	if err != nil {
		return 0, err
	}
	n, err := f.archive.file.ReadAt(p[:min(int64(len(p)), there)], f.at)
	f.at += int64(n)
	return n, err
}
