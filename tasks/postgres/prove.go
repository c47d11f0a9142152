package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// ErrDamaged is wrapped by the error of a backup that is no longer the file that
// was written.
var ErrDamaged = errors.New("the backup is damaged")

// Verify proves a backup that was made earlier, without a server: see
// [Backup]. It calls progress with the bytes of the file that it has read, of
// how many. The error wraps [ErrDamaged] if the file is not what it was.
func Verify(ctx context.Context, file string, progress func(done, total int64)) (Metadata, error) {
	m, err := ReadMetadata(file)
	if err != nil {
		return m, err
	}
	m.Proven = false
	return m, prove(ctx, file, &m, progress)
}

// prove reads the archive at path back, as a restore would, without a server,
// and compares the file with its checksum and each table with what was read in
// the snapshot. Only then is the backup proven. The content hashes of the
// archive are filled in where the snapshot's rows were only counted.
func prove(ctx context.Context, path string, m *Metadata, progress func(done, total int64)) error {
	restore, err := findTool(ctx, "pg_restore")
	if err != nil {
		return err
	}
	source, err := openArchive(path, func(n int64) { progress(n, m.Bytes) })
	if err != nil {
		return err
	}
	defer source.Close()
	var content script
	err = command.Command{
		Argv:  []string{restore.path, "--data-only", "--file=-"},
		Stdin: source, Stdout: &content,
	}.Run(ctx)
	if err == nil {
		err = content.end()
	}
	if err := source.verify(ctx, err, m.SHA256); err != nil {
		return fmt.Errorf("prove the backup: %w", err)
	}
	if differences := pg.Differences(m.Tables, content.tables); len(differences) > 0 {
		return fmt.Errorf("prove the backup: it is not what the database held: %s", strings.Join(differences, "; "))
	}
	m.Rows = 0
	hashes := map[string]string{}
	for _, t := range content.tables {
		m.Rows += t.Rows
		hashes[t.String()] = t.Hash
	}
	for i := range m.Tables {
		m.Tables[i].Hash = hashes[m.Tables[i].String()]
	}
	m.Proven = true
	return nil
}

// A source is an archive that is being read: it decompresses the file and sums
// it up.
type source struct {
	file     *os.File
	zstd     *zstd.Decoder
	progress func(read int64)
	read     int64
	digest   hash.Hash
	err      error // the first one that the file or its decompression gave
}

func openArchive(path string, progress func(read int64)) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	s := &source{file: file, progress: progress, digest: sha256.New()}
	s.zstd, err = zstd.NewReader(counted{s})
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	return s, nil
}

// Read gives a piece of the uncompressed archive.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.zstd.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	return n, err
}

// Close ends the reading.
func (s *source) Close() error {
	s.zstd.Close()
	return s.file.Close()
}

// verify reads the rest of the file, which the program that took the archive
// need not have done, and compares its checksum. The program's own error is
// explained by the damage, if there is any.
func (s *source) verify(ctx context.Context, programErr error, want string) error {
	if ctx.Err() != nil {
		return errors.Join(programErr, context.Cause(ctx))
	}
	if s.err == nil {
		_, _ = io.Copy(io.Discard, s)
	}
	s.zstd.Close() // it may be reading ahead
	if _, err := io.Copy(io.Discard, counted{s}); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	hint := "make another backup; look at the disk if it happens again"
	sum := hex.EncodeToString(s.digest.Sum(nil))
	switch {
	case sum != want:
		return task.Hint(fmt.Errorf("%w: its SHA-256 is %s, not %s", ErrDamaged, sum, want), hint)
	case s.err != nil:
		return task.Hint(fmt.Errorf("%w: %w", ErrDamaged, s.err), hint)
	}
	return programErr
}

// counted is the source's compressed side.
type counted struct{ *source }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	_, _ = c.digest.Write(p[:n])
	c.read += int64(n)
	c.progress(c.read)
	return n, err
}

// sha256File returns the checksum of a file.
func sha256File(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
