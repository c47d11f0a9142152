package outline

import "strings"

// maxDepth is how deep lists and mappings may stand in each other; a plan's
// limit is lower. What is deeper is passed over.
const maxDepth = 100

// reader goes through a text once.
type reader struct {
	text  string
	at    int // byte
	depth int
	begun bool // the document has content
}

// Parse returns the outline of the first document in text, or nil if there is
// nothing in it.
func Parse(text string) *Node {
	r := &reader{text: text}
	if strings.HasPrefix(text, "\uFEFF") {
		r.at = len("\uFEFF")
	}
	root := r.block(0)
	for r.toContent() { // lines that belong to nothing, such as one indented too little
		more := r.block(0)
		if root == nil || root.Kind != Mapping {
			root = more
		} else if more != nil && more.Kind == Mapping {
			root.Pairs, root.End = append(root.Pairs, more.Pairs...), more.End
		}
	}
	return root
}

// toContent goes to the next line with content, if the reader stands at the start
// of a line, and stops at its first character that is no space. It returns false
// at the end of the text or of the document.
func (r *reader) toContent() bool {
	for r.at < len(r.text) {
		start := r.at
		r.spaces()
		switch {
		case r.at == len(r.text):
			return false
		case r.ends() || r.text[r.at] == '#':
			r.nextLine()
		case r.at == start && isMark(r.text[r.at:], "..."):
			return false
		case r.at == start && (isMark(r.text[r.at:], "---") || r.text[r.at] == '%'):
			if r.begun {
				return false
			}
			r.nextLine()
		default:
			r.begun = true
			return true
		}
	}
	return false
}

func isMark(s, mark string) bool {
	return strings.HasPrefix(s, mark) && (len(s) == len(mark) || isSpace(s[len(mark)]))
}

// block reads the value that begins on the next line with content, if that is
// indented by least or more. Else it returns nil and stays where it is.
func (r *reader) block(least int) *Node {
	start := r.at
	if !r.toContent() || r.column() < least || r.depth >= maxDepth {
		r.at = start
		return nil
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.content(r.column(), least-1)
}

// content reads the value that begins here, at that column. parent is the
// column of the mapping or list around it: what belongs to the value is
// indented by more.
func (r *reader) content(column, parent int) *Node {
	switch {
	case r.isDash():
		return r.list(column)
	case r.isKey() || r.isAboveKey(column):
		return r.mapping(column)
	}
	n := r.inline(parent)
	r.restOfLine()
	return n
}

// isAboveKey tells whether a word stands here, alone on its line and above a key
// at the same column: another key, which is being written.
func (r *reader) isAboveKey(column int) bool {
	at := r.at
	defer func() { r.at = at }()
	if strings.ContainsAny(r.line(), " {}[]\"'|>*#") {
		return false
	}
	r.nextLine()
	return r.toContent() && r.column() == column && r.isKey()
}

// column is the number of characters before the reader on its line, which are
// spaces and dashes as far as it matters.
func (r *reader) column() int {
	return r.at - (strings.LastIndexByte(r.text[:r.at], '\n') + 1)
}

// list reads the items whose dashes stand at the column.
func (r *reader) list(column int) *Node {
	n := &Node{Kind: List, Start: r.at, End: r.at}
	for {
		n.End = max(n.End, r.at+1)
		r.at++ // the dash
		item := r.behindDash(column)
		if item != nil {
			n.End = max(n.End, item.End)
		}
		n.Items = append(n.Items, item)
		if !r.nextAt(column) || !r.isDash() {
			return n
		}
	}
}

// behindDash reads an item: what stands behind the dash, or below it.
func (r *reader) behindDash(column int) *Node {
	r.properties()
	if r.ends() || r.text[r.at] == '#' {
		r.nextLine()
		return r.block(column + 1)
	}
	if r.depth >= maxDepth {
		r.nextLine()
		return nil
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.content(r.column(), column)
}

// nextAt goes to the next content, passing over lines that are indented by more
// than the column and so belong to nothing, and tells whether it stands there.
func (r *reader) nextAt(column int) bool {
	for {
		before := r.at
		if !r.toContent() {
			r.at = before
			return false
		}
		switch at := r.column(); {
		case at == column:
			return true
		case at < column:
			r.at = before
			return false
		}
		r.nextLine()
	}
}

// mapping reads the keys that stand at the column.
func (r *reader) mapping(column int) *Node {
	n := &Node{Kind: Mapping, Start: r.at}
	for {
		pair := r.pair(column)
		n.Pairs = append(n.Pairs, pair)
		n.End = max(n.End, pair.Key.End)
		if pair.Value != nil {
			n.End = max(n.End, pair.Value.End)
		}
		if !r.nextAt(column) || r.isDash() {
			return n
		}
	}
}

// pair reads a key, and its value behind it or below it. A line that is no key
// is one that is being written.
func (r *reader) pair(column int) Pair {
	key := r.key()
	pair := Pair{Key: key}
	r.spaces()
	if r.at == len(r.text) || r.text[r.at] != ':' {
		r.restOfLine()
		return pair
	}
	pair.Colon = true
	r.at++
	r.properties()
	if !r.ends() && r.text[r.at] != '#' {
		pair.Value = r.inline(column)
		r.restOfLine()
		return pair
	}
	r.nextLine()
	if pair.Value = r.block(column + 1); pair.Value == nil {
		before := r.at
		if r.toContent() && r.column() == column && r.isDash() { // a list may stand below its key without indentation
			pair.Value = r.list(column)
		} else {
			r.at = before
		}
	}
	return pair
}

// properties passes over spaces, an anchor and a tag.
func (r *reader) properties() {
	r.spaces()
	for r.at < len(r.text) && (r.text[r.at] == '&' || r.text[r.at] == '!') {
		for !r.ends() && r.text[r.at] != ' ' {
			r.at++
		}
		r.spaces()
	}
}

// restOfLine goes to the next line, unless the reader stands at the start of one.
func (r *reader) restOfLine() {
	if r.at > 0 && r.text[r.at-1] == '\n' {
		return
	}
	r.nextLine()
}

func (r *reader) nextLine() {
	if i := strings.IndexByte(r.text[r.at:], '\n'); i >= 0 {
		r.at += i + 1
		return
	}
	r.at = len(r.text)
}

func (r *reader) spaces() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\t') {
		r.at++
	}
}

// ends tells whether the line ends here.
func (r *reader) ends() bool {
	return r.at >= len(r.text) || r.text[r.at] == '\n' || r.text[r.at] == '\r' && strings.HasPrefix(r.text[r.at:], "\r\n")
}

func (r *reader) isDash() bool {
	return r.at < len(r.text) && r.text[r.at] == '-' && (r.at+1 == len(r.text) || isSpace(r.text[r.at+1]))
}

// isKey tells whether a key with its colon stands here.
func (r *reader) isKey() bool {
	at := r.at
	defer func() { r.at = at }()
	if r.ends() || strings.IndexByte("[{|>#*", r.text[r.at]) >= 0 {
		return false
	}
	r.key()
	r.spaces()
	return r.at < len(r.text) && r.text[r.at] == ':' && (r.at+1 == len(r.text) || isSpace(r.text[r.at+1]))
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
