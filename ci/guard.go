package ci

import (
	"bytes"
	"io"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A Guard is a log that the runner does not obey: what other programs say goes
// through it, and a line of theirs that reads like a workflow command is written
// so that it is none. The runner takes "::" at the start of a line, behind
// whatever .NET takes for a blank, and "##[" anywhere in one (ActionCommand.cs).
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
	for rest := text; len(rest) > 0; {
		if partial(rest, g.fresh) {
			g.held = bytes.Clone(rest)
			break
		}
		r, size := utf8.DecodeRune(rest)
		switch {
		case g.fresh && bytes.HasPrefix(rest, []byte("::")):
			safe.WriteString(": ")
		case bytes.HasPrefix(rest, []byte("##[")):
			safe.WriteString("# ")
		default:
			safe.Write(rest[:size])
		}
		g.fresh = r == '\n' || r == '\r' || g.fresh && blank(r)
		rest = rest[size:]
	}
	if _, err := g.to.Write(safe.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// blank tells whether the runner looks for a command behind it: White_Space of
// Unicode, as String.TrimStart has it, and the mark that a stream may begin with.
func blank(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }

// partial tells whether the text ends in what may become a command.
func partial(rest []byte, fresh bool) bool {
	if fresh && !utf8.FullRune(rest) {
		return true
	}
	switch string(rest) {
	case ":":
		return fresh
	case "#", "##":
		return true
	}
	return false
}

// Commands is the log behind the guard, for commands of our own.
func (g *Guard) Commands() io.Writer { return g.to }

// Flush writes what was held back.
func (g *Guard) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := g.to.Write(g.held)
	g.held = nil
	return err
}
