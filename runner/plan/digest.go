package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// digestFrame begins what is hashed. A change to the framing changes it, and
// with it every digest.
const digestFrame = "phasegate plan digest 1"

// Digest returns what [Plan.Digest] is for a plan's text and its files, given the
// SHA-256 of each by its name: the SHA-256, in hexadecimal, over the plan's file
// and the named files, sorted by name. Each is framed by its name and its own
// hash, so that no file can pass for a part of another.
func Digest(src []byte, files map[string][sha256.Size]byte) string {
	return digestOf(sha256.Sum256(src), files)
}

// sumText is the SHA-256 of a text, which is not copied as a whole for it.
func sumText(text string) [sha256.Size]byte {
	h := sha256.New()
	part := make([]byte, 32<<10)
	for len(text) > 0 {
		n := copy(part, text)
		h.Write(part[:n])
		text = text[n:]
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func digestOf(own [sha256.Size]byte, files map[string][sha256.Size]byte) string {
	h := sha256.New()
	frame(h, digestFrame)
	h.Write(own[:])
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		frame(h, name)
		sum := files[name]
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func frame(h hash.Hash, text string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(text)))
	h.Write(length[:])
	h.Write([]byte(text))
}

// errIrregular is what sumFile returns for a directory, a device or a pipe.
var errIrregular = errors.New("not a regular file")

// sumFile returns the SHA-256 of a file's content.
func sumFile(path string) (sum [sha256.Size]byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return sum, err
	}
	if !info.Mode().IsRegular() {
		return sum, errIrregular // opening a pipe would wait for its writer
	}
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// fileProblem says in a message's words why a file cannot be read.
func fileProblem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read"
	case errors.Is(err, errIrregular):
		return "is not a file"
	}
	return "cannot be read"
}

// fileName returns the name of a file in the digest: relative to the plan's
// directory, so that the digest is the same wherever the plan lies, unless the
// plan itself gives an absolute path.
func fileName(dir, file string, absolute map[string]bool) string {
	for root := file; root != filepath.Dir(root); root = filepath.Dir(root) {
		if absolute[root] {
			return filepath.ToSlash(file)
		}
	}
	if name, err := filepath.Rel(dir, file); err == nil {
		return filepath.ToSlash(name)
	}
	return filepath.ToSlash(file)
}
