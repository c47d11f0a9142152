package sqllint

import (
	"regexp"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A kind is what a token is.
type kind int

const (
	word   kind = iota // a keyword or a name, in lower case
	quoted             // a name in double quotes, without them
	text               // a string of any sort, without its quotes
	number
	mark // punctuation or an operator
)

// A token is a piece of a statement. Comments and space are none.
type token struct {
	kind kind
	text string
	pos  int  // in the file, in bytes
	open bool // a quote that nothing closes
}

// A comment is one to the end of a line, or between /* and */.
type comment struct {
	text string
	pos  int
	open bool // nothing closes it
}

// lexemes are tried in this order. PostgreSQL's own rules, as far as they decide
// where a token ends: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
var lexemes = []struct {
	kind  kind
	shape func() *regexp.Regexp
}{
	{text, pattern.Lazy(`^[eE]'(?:[^'\\]|\\.|'')*'`)},
	{text, pattern.Lazy(`^(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'`)},
	{quoted, pattern.Lazy(`^(?:[uU]&)?"(?:[^"]|"")*"`)},
	{word, pattern.Lazy(`^[\pL_][\pL\pN_$]*`)},
	{number, pattern.Lazy(`^[0-9][0-9a-zA-Z_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?`)},
	{mark, pattern.Lazy(`^(?:::|:=|=>|<=|>=|<>|!=|(?s:.))`)},
}

var dollar = pattern.Lazy(`^\$(?:[\pL_][\pL\pN_]*)?\$`)

// lex cuts a file into tokens and comments. What cannot be SQL comes out as marks.
func lex(src string) (tokens []token, comments []comment) {
	for pos := 0; pos < len(src); {
		rest := src[pos:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			pos++
		case strings.HasPrefix(rest, "--"):
			line, _, _ := strings.Cut(rest, "\n")
			comments = append(comments, comment{text: line, pos: pos})
			pos += len(line)
		case strings.HasPrefix(rest, "/*"):
			end, closed := blockEnd(rest)
			comments = append(comments, comment{rest[:end], pos, !closed})
			pos += end
		default:
			t, end := lexeme(rest)
			t.pos = pos
			tokens = append(tokens, t)
			pos += end
		}
	}
	return tokens, comments
}

// blockEnd is where a comment ends, if it does: they nest.
func blockEnd(src string) (end int, closed bool) {
	depth := 0
	for i := 0; i < len(src); {
		switch {
		case strings.HasPrefix(src[i:], "/*"):
			depth, i = depth+1, i+2
		case strings.HasPrefix(src[i:], "*/"):
			depth, i = depth-1, i+2
			if depth == 0 {
				return i, true
			}
		default:
			i++
		}
	}
	return len(src), false
}

func lexeme(src string) (token, int) {
	if tag := dollar().FindString(src); tag != "" {
		body, _, closed := strings.Cut(src[len(tag):], tag)
		end := len(tag) + len(body)
		if closed {
			end += len(tag)
		}
		return token{kind: text, text: body, open: !closed}, end
	}
	for _, l := range lexemes {
		found := l.shape().FindString(src)
		if found == "" {
			continue
		}
		open := l.kind == mark && (found == `'` || found == `"`)
		return token{kind: l.kind, text: clean(l.kind, found), open: open}, len(found)
	}
	return token{kind: mark, text: src[:1]}, 1
}

// clean takes the quotes off, and capitals where they mean nothing.
func clean(k kind, found string) string {
	switch k {
	case word:
		return strings.ToLower(found)
	case quoted:
		inner := found[strings.IndexByte(found, '"')+1 : len(found)-1]
		return strings.ReplaceAll(inner, `""`, `"`)
	case text:
		return strings.ReplaceAll(found[strings.IndexByte(found, '\'')+1:len(found)-1], "''", "'")
	}
	return found
}
