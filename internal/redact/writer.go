package redact

import (
	"bytes"
	"io"
	"sync"
)

// A Writer masks what passes through it, line by line, so that a secret cut in
// two by a buffer is still found. Close writes what is left of the last line.
// It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	to   io.Writer
	mask *Masker
	line []byte
}

// longestLine is the length at which a line is passed on without its end, so
// that a child that never writes one does not fill the memory.
const longestLine = 64 << 10

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer, mask *Masker) *Writer { return &Writer{to: w, mask: mask} }

// Write passes on the lines that are whole and keeps the rest.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, p...)
	end := bytes.LastIndexByte(w.line, '\n') + 1
	if end == 0 && len(w.line) > longestLine {
		end = len(w.line)
	}
	if end == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(w.to, w.mask.String(string(w.line[:end])))
	w.line = append(w.line[:0], w.line[end:]...)
	return len(p), err
}

// Close writes the unfinished last line. It does not close the writer below.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.to, w.mask.String(string(w.line)))
	w.line = nil
	return err
}
