package plan

import (
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A cursor finds the places in the file of the characters of one scalar's value:
// quotes, escapes, folded lines and indentation lie between the two. It moves
// forward only, so that all of a scalar's places are found in linear time.
type cursor struct {
	src    *source
	node   *yaml.Node
	at     int // byte in the source
	passed int // bytes of the value before it
}

func (s *source) inside(n *yaml.Node) *cursor {
	return &cursor{src: s, node: n, at: s.content(n)}
}

// content returns the byte at which the scalar's own text starts, after an
// anchor, a quote, or the header of a block.
func (s *source) content(n *yaml.Node) int {
	at := s.offset(positionOf(n))
	if n.Anchor != "" {
		at += len("&") + len(n.Anchor)
		for at < len(s.text) && isBlank(s.text[at]) {
			at++
		}
	}
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return min(at+1, len(s.text))
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		if end := strings.IndexByte(s.text[at:], '\n'); end >= 0 {
			return at + end + 1
		}
	}
	return at
}

// position returns the place of the byte at offset in the value. Offsets must
// not decrease from one call to the next. On a line that is too long to be shown
// it is the scalar's own place.
func (c *cursor) position(offset int) Position {
	if c.src.shown(c.node.Line) == "" {
		return positionOf(c.node)
	}
	value := c.node.Value
	for c.passed < offset && c.passed < len(value) && c.at < len(c.src.text) {
		r, size := utf8.DecodeRuneInString(value[c.passed:])
		c.passed += size
		if c.toward(r); c.at < len(c.src.text) {
			c.at += c.length(r)
		}
	}
	if c.passed < len(value) {
		r, _ := utf8.DecodeRuneInString(value[c.passed:])
		c.toward(r)
	}
	at := c.src.position(min(c.at, len(c.src.text)))
	if c.src.shown(at.Line) == "" {
		return positionOf(c.node)
	}
	return at
}

// toward skips what folding has taken out before r.
func (c *cursor) toward(r rune) {
	text := c.src.text
	if c.node.Style&yaml.DoubleQuotedStyle != 0 && strings.HasPrefix(text[c.at:], "\\\n") {
		c.at += 2
	}
	if isBlank(byte(min(r, utf8.RuneSelf))) {
		return
	}
	for c.at < len(text) && isBlank(text[c.at]) {
		c.at++
	}
}

// length returns how many bytes of the source stand for r.
func (c *cursor) length(r rune) int {
	rest := c.src.text[c.at:]
	switch {
	case c.node.Style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\':
		return min(escapeLength(rest), len(rest))
	case c.node.Style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(rest, "''"):
		return 2
	case isBlank(rest[0]) && (r == ' ' || r == '\n') && rest[0] != byte(r):
		return len(rest) - len(strings.TrimLeft(rest, " \t\r\n")) // a line break that was folded
	}
	_, size := utf8.DecodeRuneInString(rest)
	return size
}

// escapeLength returns the length of the escape at the start of s, as in YAML
// 1.2, section 5.7.
func escapeLength(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
