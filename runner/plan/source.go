package plan

import (
	"sort"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// longestLine is the length in bytes up to which a line is shown, and columns
// inside its values are worked out. It bounds the work that one line can cause.
const longestLine = 2000

// source is the text of a plan's file, with the start of each line.
type source struct {
	path  string
	whole string // as it is in the file
	text  string // valid UTF-8 with no byte order mark, once it is checked
	lines []int  // byte offset of each line's start
}

func newSource(path, whole string) *source {
	s := &source{path: path, whole: whole, text: strings.TrimPrefix(whole, "\uFEFF")}
	s.lines = append(make([]int, 0, strings.Count(s.text, "\n")+1), 0)
	for i := 0; i < len(s.text); i++ {
		if s.text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// line returns the text of line n, from 1, without its end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return strings.TrimSuffix(s.text[s.lines[n-1]:end], "\r")
}

// shown returns line n, or "" if it is too long to be shown.
func (s *source) shown(n int) string {
	if line := s.line(n); len(line) <= longestLine {
		return line
	}
	return ""
}

// offset returns the byte at p. It is the start of the line if that is too long.
func (s *source) offset(p Position) int {
	line := s.shown(p.Line)
	offset := 0
	for column := 1; column < p.Column && offset < len(line); column++ {
		_, size := utf8.DecodeRuneInString(line[offset:])
		offset += size
	}
	return s.lines[max(0, min(p.Line, len(s.lines))-1)] + offset
}

// position returns the place of the byte at offset, or the start of its line if
// that is too long.
func (s *source) position(offset int) Position {
	line := sort.SearchInts(s.lines, offset+1)
	if s.shown(line) == "" {
		return Position{Line: line, Column: 1}
	}
	return Position{Line: line, Column: utf8.RuneCountInString(s.text[s.lines[line-1]:offset]) + 1}
}

func positionOf(n *yaml.Node) Position { return Position{Line: n.Line, Column: n.Column} }

// width returns the number of characters of the token at which n starts, on its
// first line.
func (s *source) width(n *yaml.Node) int {
	for n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 && n.Anchor == "" {
		n = n.Content[0]
	}
	start := s.offset(positionOf(n))
	if s.shown(n.Line) == "" {
		return 1
	}
	rest := s.text[start : s.lines[n.Line-1]+len(s.line(n.Line))]
	switch {
	case n.Kind == yaml.AliasNode:
		return utf8.RuneCountInString(n.Value) + 1
	case n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 1
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return wordLength(rest)
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return utf8.RuneCountInString(rest[:quotedLength(rest)])
	case strings.HasPrefix(rest, n.Value):
		return max(1, utf8.RuneCountInString(n.Value))
	}
	return max(1, utf8.RuneCountInString(strings.TrimRight(rest, " ")))
}

// wordLength returns the number of characters before the first space.
func wordLength(s string) int {
	word, _, _ := strings.Cut(s, " ")
	return utf8.RuneCountInString(word)
}

// quotedLength returns the length in bytes of the quoted scalar at the start of
// s, or of all of s if it is not closed there.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[i] == s[0] && s[0] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}
