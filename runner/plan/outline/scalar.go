package outline

import "strings"

// inline reads the value that begins on this line, in the block style's
// surroundings. parent is the column of what is around it.
func (r *reader) inline(parent int) *Node {
	if r.ends() {
		return nil
	}
	switch c := r.text[r.at]; c {
	case '{', '[':
		return r.flow(parent)
	case '"', '\'':
		return r.quoted(parent)
	case '|', '>':
		return r.literal(parent)
	case '*':
		return r.alias("")
	}
	return r.plain(parent)
}

// key reads the words before a colon, on this line.
func (r *reader) key() *Node {
	if r.at < len(r.text) && (r.text[r.at] == '"' || r.text[r.at] == '\'') {
		return r.quoted(r.column() + 1<<20) // no further line belongs to it
	}
	start := r.at
	for !r.ends() {
		if r.text[r.at] == ':' && (r.at+1 == len(r.text) || isSpace(r.text[r.at+1])) || r.isComment() {
			break
		}
		r.at++
	}
	return r.trimmed(start)
}

// trimmed is the plain scalar from start to here, without the spaces behind it.
func (r *reader) trimmed(start int) *Node {
	text := strings.TrimRight(r.text[start:r.at], " \t\r")
	return &Node{Start: start, End: start + len(text), Text: text}
}

// isComment tells whether a # stands here that begins a comment.
func (r *reader) isComment() bool {
	return r.text[r.at] == '#' && r.at > 0 && isSpace(r.text[r.at-1])
}

// plain reads a scalar without quotes and the lines that go on with it.
func (r *reader) plain(parent int) *Node {
	start := r.at
	for !r.ends() && !r.isComment() {
		r.at++
	}
	n := r.trimmed(start)
	commented := !r.ends()
	r.nextLine()
	for !commented {
		before := r.at
		if !r.toContentInText(parent) || r.text[r.at] == '#' || r.isKey() || r.isDash() {
			r.at = before
			break
		}
		more := r.at
		for !r.ends() && !r.isComment() {
			r.at++
		}
		part := r.trimmed(more)
		n.Text, n.End = n.Text+" "+part.Text, part.End
		r.nextLine()
	}
	return n
}

// toContentInText goes to the next line that is not blank, if it is indented by
// more than parent.
func (r *reader) toContentInText(parent int) bool {
	for r.at < len(r.text) {
		r.spaces()
		if !r.ends() {
			return r.column() > parent
		}
		r.nextLine()
	}
	return false
}

// quoted reads a scalar in quotes. Where the closing one is not on this line, the
// lines that are indented by more than parent are searched for it; if it is not
// there either, it is being written, and the scalar is the rest of its line.
func (r *reader) quoted(parent int) *Node {
	start, quote := r.at, r.text[r.at]
	end := -1
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '\\' && quote == '"' && r.at+1 < len(r.text) && r.text[r.at+1] != '\n':
			r.at++
		case c == quote && quote == '\'' && strings.HasPrefix(r.text[r.at:], "''"):
			r.at++
		case c == quote:
			r.at++
			return &Node{Start: start, End: r.at, Quote: quote, Text: r.text[start+1 : r.at-1]}
		case c == '\n':
			if end < 0 {
				end = r.at
			}
			r.at++
			if !r.toContentInText(parent) || r.isKey() {
				r.at = end
				return r.open(start, end, quote)
			}
			r.at--
		}
	}
	if end < 0 {
		end = len(r.text)
	}
	r.at = end
	return r.open(start, end, quote)
}

// open is a scalar whose closing quote is missing.
func (r *reader) open(start, end int, quote byte) *Node {
	text := strings.TrimRight(r.text[start:end], " \t\r")
	return &Node{Start: start, End: start + len(text), Quote: quote, Text: text[1:]}
}

// literal reads a block scalar: its header, and the lines that are indented by
// more than parent, or are blank.
func (r *reader) literal(parent int) *Node {
	n := &Node{Start: r.at, Quote: r.text[r.at]}
	for !r.ends() {
		r.at++
	}
	n.End = r.at
	r.nextLine()
	content := r.at
	for r.at < len(r.text) {
		line := r.at
		r.spaces()
		if blank := r.ends(); !blank && r.column() <= parent {
			r.at = line
			break
		} else if !blank {
			n.End = r.at + len(r.line())
		}
		r.nextLine()
	}
	if content <= n.End {
		n.Text = r.text[content:n.End]
	}
	return n
}

// line is the rest of this line.
func (r *reader) line() string {
	rest := r.text[r.at:]
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(rest, "\r")
}

// alias reads *NAME, up to a space or one of the characters in until.
func (r *reader) alias(until string) *Node {
	start := r.at
	for !r.ends() && !isSpace(r.text[r.at]) && strings.IndexByte(until, r.text[r.at]) < 0 {
		r.at++
	}
	return &Node{Start: start, End: r.at, Quote: '*', Text: r.text[start+1 : r.at]}
}
