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

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/runner/task"
)

// A source is an archive that is being read: it decrypts and decompresses the
// file and sums it up.
type source struct {
	file     io.Reader
	zstd     *zstd.Decoder
	progress func(read int64)
	read     int64
	digest   hash.Hash
	err      error // the first one that the file, its decryption or its decompression gave
	closer   io.Closer
}

// openArchive opens the archive of a backup. One that is encrypted needs an
// identity that it was encrypted for.
func openArchive(path string, m Metadata, identities []age.Identity, progress func(read int64)) (*source, error) {
	if m.Encryption != "" && len(identities) == 0 {
		return nil, task.Hint(fmt.Errorf("the backup %s is encrypted, and there is no identity to read it with", path),
			"name the file of an identity that it was encrypted for: --identity at the command line, identity in a plan")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	if m.Encryption == "" {
		identities = nil
	}
	s := newSource(file, identities, progress)
	s.closer = file
	return s, nil
}

// newSource reads an archive from file, encrypted if there are identities. It
// reads nothing before the first Read.
func newSource(file io.Reader, identities []age.Identity, progress func(read int64)) *source {
	s := &source{file: file, progress: progress, digest: sha256.New()}
	var from io.Reader = counted{s}
	if len(identities) > 0 {
		from = &sealed{from: from, identities: identities}
	}
	s.zstd, s.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if s.err == nil {
		s.err = s.zstd.Reset(from)
	}
	return s
}

// Read gives a piece of the uncompressed archive.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.zstd.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Close ends the reading.
func (s *source) Close() error {
	if s.zstd != nil {
		s.zstd.Close()
	}
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// verify reads the rest of the file, which whoever took the archive need not
// have done, and compares its checksum. The taker's own error is explained by
// the damage, if there is any.
func (s *source) verify(ctx context.Context, takerErr error, want string) error {
	if ctx.Err() != nil {
		return errors.Join(takerErr, context.Cause(ctx))
	}
	if s.err == nil {
		_, _ = io.Copy(io.Discard, s)
	}
	if _, err := io.Copy(io.Discard, counted{s}); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	var unmatched *age.NoIdentityMatchError
	hint := "make another backup; look at the disk if it happens again"
	switch sum := s.sum(); {
	case sum != want:
		return task.Hint(fmt.Errorf("%w: its SHA-256 is %s, not %s", ErrDamaged, sum, want), hint)
	case errors.As(s.err, &unmatched):
		return task.Hint(errors.New("the backup is encrypted for none of the identities"), "name the file of another identity")
	case s.err != nil:
		return task.Hint(fmt.Errorf("%w: %w", ErrDamaged, s.err), hint)
	}
	return takerErr
}

// sum is the SHA-256 of what was read of the file.
func (s *source) sum() string { return hex.EncodeToString(s.digest.Sum(nil)) }

// counted is the source's compressed side.
type counted struct{ *source }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	_, _ = c.digest.Write(p[:n])
	c.read += int64(n)
	c.progress(c.read)
	return n, err
}

// sealed decrypts. The header is read at the first Read.
type sealed struct {
	from       io.Reader
	identities []age.Identity
	clear      io.Reader
}

func (s *sealed) Read(p []byte) (n int, err error) {
	if s.clear == nil {
		if s.clear, err = age.Decrypt(s.from, s.identities...); err != nil {
			return 0, err
		}
	}
	return s.clear.Read(p)
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
