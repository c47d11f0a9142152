package redact

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// A Writer masks what passes through it, line by line, so that a secret cut in
// two by a buffer is still found. Close writes what is left of the last line.
// It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	to   io.Writer
	mask func(string) string
	line []byte
}

// longestLine is the length at which a line is passed on without its end, so
// that a child that never writes one does not fill the memory.
const longestLine = 64 << 10

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer, mask *Masker) *Writer { return NewFuncWriter(w, mask.String) }

// NewFuncWriter returns a Writer to w for whoever has not the Masker but its
// String.
func NewFuncWriter(w io.Writer, mask func(string) string) *Writer { return &Writer{to: w, mask: mask} }

// Write passes on the lines that are whole and keeps the rest.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, p...)
	return len(p), w.pass()
}

// ReadFrom is what io.Copy calls: most programs write little, for which its own
// buffer of 32 kB would be the larger part of the work.
func (w *Writer) ReadFrom(r io.Reader) (total int64, err error) {
	buffer := make([]byte, smallest)
	for {
		n, err := r.Read(buffer)
		total += int64(n)
		if _, err := w.Write(buffer[:n]); err != nil {
			return total, err
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if n == len(buffer) && n < largest {
			buffer = make([]byte, 2*n)
		}
	}
}

// The sizes of ReadFrom's buffer, in bytes.
const (
	smallest = 512
	largest  = 32 << 10
)

// pass writes the lines that are whole.
func (w *Writer) pass() error {
	end := bytes.LastIndexByte(w.line, '\n') + 1
	if end == 0 && len(w.line) > longestLine {
		end = len(w.line)
	}
	if end == 0 {
		return nil
	}
	_, err := io.WriteString(w.to, w.mask(string(w.line[:end])))
	w.line = append(w.line[:0], w.line[end:]...)
	return err
}

// Close writes the unfinished last line. It does not close the writer below.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.to, w.mask(string(w.line)))
	w.line = nil
	return err
}
