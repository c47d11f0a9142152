package ci

import (
	"bytes"
	"io"
	"sync"
)

// A Guard is a log that the runner does not obey: what other programs say goes
// through it, and a line of theirs that reads like a workflow command is written
// so that it is none. The runner takes "::" at the start of a line, behind
// blanks, and "##[" anywhere in one (ActionCommand.cs).
type Guard struct {
	to io.Writer

	mu    sync.Mutex
	fresh bool   // only blanks were written of this line
	held  []byte // the end of the last write, which may be the beginning of a command
}

// NewGuard returns a guard before a log.
func NewGuard(to io.Writer) *Guard { return &Guard{to: to, fresh: true} }

// Write writes p, made harmless.
func (g *Guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := append(g.held, p...)
	g.held = nil
	var safe bytes.Buffer
	for i := range text {
		rest := text[i:]
		if partial(rest, g.fresh) {
			g.held = bytes.Clone(rest)
			break
		}
		switch {
		case g.fresh && bytes.HasPrefix(rest, []byte("::")):
			safe.WriteString(": ")
		case bytes.HasPrefix(rest, []byte("##[")):
			safe.WriteString("# ")
		default:
			safe.WriteByte(text[i])
		}
		switch text[i] {
		case '\n', '\r':
			g.fresh = true
		case ' ', '\t':
		default:
			g.fresh = false
		}
	}
	if _, err := g.to.Write(safe.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// partial tells whether the text ends in what may become a command.
func partial(rest []byte, fresh bool) bool {
	switch string(rest) {
	case ":":
		return fresh
	case "#", "##":
		return true
	}
	return false
}

// Flush writes what was held back.
func (g *Guard) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := g.to.Write(g.held)
	g.held = nil
	return err
}
