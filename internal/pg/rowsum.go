package pg

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
)

// A RowSum is the content of a table as a number. A row is a line of COPY's text
// format; its hash is the first 128 bits of its SHA-256; the sum of the hashes
// modulo 2^128 does not depend on the order of the rows, and rows that occur
// twice count twice. The zero value is the sum of no rows.
type RowSum struct {
	rows    int64
	hi, lo  uint64
	partial hash.Hash // of a line whose end has not come yet
	open    bool
}

// WriteLine adds a whole row. The line comes without its newline.
func (s *RowSum) WriteLine(line []byte) {
	digest := sha256.Sum256(line)
	s.add(digest[:])
}

// Write adds rows as COPY sends them: each ends with a newline, and may come in
// several pieces.
func (s *RowSum) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		switch {
		case end < 0:
			s.WritePart(p)
			return written, nil
		case s.open:
			s.WritePart(p[:end])
			s.EndLine()
		default:
			s.WriteLine(p[:end])
		}
		p = p[end+1:]
	}
	return written, nil
}

// WritePart adds a piece of a row that [RowSum.EndLine] will end.
func (s *RowSum) WritePart(part []byte) {
	if s.partial == nil {
		s.partial = sha256.New()
	}
	s.open = true
	s.partial.Write(part)
}

// EndLine ends the row whose pieces were written before.
func (s *RowSum) EndLine() {
	if s.partial == nil {
		s.partial = sha256.New()
	}
	s.add(s.partial.Sum(nil))
	s.partial.Reset()
	s.open = false
}

func (s *RowSum) add(digest []byte) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, binary.BigEndian.Uint64(digest[8:16]), 0)
	s.hi, _ = bits.Add64(s.hi, binary.BigEndian.Uint64(digest[:8]), carry)
	s.rows++
}

// Rows returns how many rows were added.
func (s *RowSum) Rows() int64 { return s.rows }

// Hash returns the sum as 32 hexadecimal digits.
func (s *RowSum) Hash() string { return fmt.Sprintf("%016x%016x", s.hi, s.lo) }
