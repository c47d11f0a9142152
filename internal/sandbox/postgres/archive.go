package postgres

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/sandbox/home"
)

// The template is one compressed file and not a directory: whoever clears out
// temporary files by age takes all of it or nothing, and its checksum tells a
// damaged one.

// pack writes the data directory into the file at path, mode 0600.
func pack(data, path string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	compressor, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressor)
	err = archive.AddFS(os.DirFS(data))
	return errors.Join(err, archive.Close(), compressor.Close())
}

// unpack makes a data directory from the template at path, owned by account.
// It fails if there is none, or one that this account did not make.
func unpack(path, data string, account *command.Account) error {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if !home.Owned(file) {
		return fmt.Errorf("%s belongs to another account", path)
	}
	compressed, err := zstd.NewReader(file)
	if err != nil {
		return err
	}
	defer compressed.Close()
	if err := makeDir(data, account); err != nil {
		return err
	}
	archive := tar.NewReader(compressed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extract(archive, header, data, account); err != nil {
			return err
		}
	}
}

func extract(archive io.Reader, header *tar.Header, data string, account *command.Account) error {
	if !fs.ValidPath(header.Name) && header.Typeflag != tar.TypeDir {
		return fmt.Errorf("%q is not a path inside the archive", header.Name)
	}
	path := filepath.Join(data, header.Name)
	if header.Typeflag == tar.TypeDir {
		return makeDir(path, account)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(give(path, account), copySparse(file, archive, header.Size), file.Close())
}

// copySparse copies a file of that size and leaves out its zeros: two thirds of
// a new data directory are write-ahead log that nothing was written to yet.
func copySparse(to *os.File, from io.Reader, size int64) error {
	var block, zeros [64 << 10]byte
	for offset := int64(0); offset < size; {
		part := block[:min(int64(len(block)), size-offset)]
		if _, err := io.ReadFull(from, part); err != nil {
			return err
		}
		if !bytes.Equal(part, zeros[:len(part)]) {
			if _, err := to.WriteAt(part, offset); err != nil {
				return err
			}
		}
		offset += int64(len(part))
	}
	return to.Truncate(size)
}

func makeDir(dir string, account *command.Account) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return give(dir, account)
}
