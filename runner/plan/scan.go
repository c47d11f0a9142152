package plan

import "strings"

// scan is a rough reading of the file up to a line, made only when YAML cannot
// be read: it knows which quotes and brackets are open, and what fits nothing.
// Places are byte offsets in the source, or -1.
type scan struct {
	src  *source
	last int // the last line

	tab      int       // the first tab in an indentation
	quote    int       // the quote that is open at the end
	long     int       // the last quote that went over the end of its line
	longEnd  int       // the line on which it was closed
	broken   bool      // text that fits nothing follows it there
	after    int       // text behind a closing quote
	open     []bracket // the brackets that are open at the end
	mismatch int       // a bracket that closes none, or one of the other kind
	inner    int       // a bracket or ? inside of a value that stands between brackets
	bare     int       // the first reference of the last line with one that stands between brackets, and not in quotes
	eaten    int       // a # that begins a comment where a value was to begin, with the end of a bracket in it
	crowded  int       // a second colon between two commas
	behind   int       // text behind the last bracket that closes a value
	colons   []int     // the colons that end a key outside of brackets, in the last line
	starts   []int     // the tokens of the last line
	comments []int     // the characters # that begin one

	block int  // indentation of the key whose block text is passed
	start bool // a token may start here
	key   int  // column of the line's first token, after dashes
	shut  int  // column of the line's last closing bracket
}

// bracket is an open [ or {.
type bracket struct{ at, colons int }

// scanTo reads the lines up to last, and on to the end of a quote that is open
// there.
func scanTo(src *source, last int) *scan {
	s := &scan{src: src, last: last, tab: -1, quote: -1, long: -1, after: -1, mismatch: -1, inner: -1, bare: -1, behind: -1, eaten: -1, crowded: -1, block: -1}
	for n := 1; n <= len(src.lines) && (n <= last || s.quote >= 0); n++ {
		if !s.skipped(n) && len(src.line(n)) <= longestLine {
			s.line(n)
		}
	}
	return s
}

// skipped passes over blank lines, comments and block texts.
func (s *scan) skipped(n int) bool {
	line := s.src.line(n)
	text := strings.TrimLeft(line, " ")
	if s.quote >= 0 {
		return false
	}
	if strings.TrimSpace(text) == "" {
		return true
	}
	if s.block >= 0 && len(line)-len(text) > s.block {
		return true
	}
	s.block = -1
	if text[0] == '\t' && s.tab < 0 {
		s.tab = s.src.lines[n-1] + len(line) - len(text)
	}
	if text[0] == '#' {
		s.comments = append(s.comments, s.src.lines[n-1]+len(line)-len(text))
	}
	return text[0] == '#'
}

// line reads one line of structure.
func (s *scan) line(n int) {
	line := s.src.line(n)
	s.colons, s.starts, s.key, s.shut, s.start = nil, nil, -1, -1, s.quote < 0
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case s.quote >= 0:
			i = s.closeQuote(n, i)
			s.start = false
		case c == ' ' || c == '\t':
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			s.comments = append(s.comments, s.src.lines[n-1]+i)
			s.eats(n, i)
			return
		case s.separated(n, line, i):
			s.start = true
		case strings.IndexByte("[{]}", c) >= 0 && (s.start || len(s.open) > 0 || s.shut >= 0 && strings.TrimSpace(line[s.shut+1:i]) == ""):
			s.bracket(n, i, c)
		case s.shut >= 0 && len(s.open) == 0 && s.behind < 0 && !s.start:
			s.behind = s.src.lines[n-1] + i
		case c == '?' && len(s.open) > 0 && !s.start:
			s.misplace(s.src.lines[n-1] + i)
		case s.start:
			s.start = false
			if s.token(n, line, i) {
				return
			}
		}
	}
}

// separated tells whether the byte at i ends a token: a colon or a dash before a
// space, or a comma between brackets.
func (s *scan) separated(n int, line string, i int) bool {
	last := i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t'
	top := len(s.open) - 1
	switch c := line[i]; {
	case c == ':' && last:
		if top < 0 {
			s.colons = append(s.colons, s.src.lines[n-1]+i)
		} else {
			if s.open[top].colons++; s.open[top].colons > 1 && s.crowded < 0 {
				s.crowded = s.src.lines[n-1] + i
			}
		}
		return true
	case c == ',' && top >= 0:
		s.open[top].colons = 0
		return true
	case c == '-' || c == '?':
		return last && strings.Trim(line[:i], " -?") == ""
	}
	return false
}

// bracket opens or closes one.
func (s *scan) bracket(n, i int, c byte) {
	at, top := s.src.lines[n-1]+i, len(s.open)-1
	switch {
	case c == '[' || c == '{':
		s.opens(n, at)
	case top >= 0 && s.src.text[s.open[top].at]+2 == c: // as ASCII has them
		s.open, s.start, s.shut = s.open[:top], false, i
	case s.mismatch < 0:
		s.mismatch = at
	}
}

// opens opens the bracket at byte at of line n, if it can stand there.
func (s *scan) opens(n, at int) {
	switch {
	case s.start:
		s.open = append(s.open, bracket{at: at})
	case len(s.open) == 0:
		if s.behind < 0 {
			s.behind = at
		}
	default:
		s.misplace(at)
		if s.bare < s.src.lines[n-1] && strings.HasPrefix(s.src.text[max(0, at-1):], opening) {
			s.bare = at - 1
		}
	}
}

// misplace notes a character that a value between brackets can hold only in quotes.
func (s *scan) misplace(at int) {
	if s.inner < 0 {
		s.inner = at
	}
}

// eats notes that the comment at index i of line n holds the end of a bracket that
// is open since the same line, and stands where a value was to begin.
func (s *scan) eats(n, i int) {
	if top := len(s.open) - 1; s.start && s.eaten < 0 && top >= 0 && s.open[top].at >= s.src.lines[n-1] &&
		strings.ContainsAny(s.src.line(n)[i:], "]}") {
		s.eaten = s.src.lines[n-1] + i
	}
}

// token starts one at i. It returns true if the rest of the line is none, but
// the header of a block text.
func (s *scan) token(n int, line string, i int) bool {
	if s.key < 0 {
		s.key = i
	}
	s.starts = append(s.starts, s.src.lines[n-1]+i)
	switch c := line[i]; {
	case c == '"' || c == '\'':
		s.quote = s.src.lines[n-1] + i
	case (c == '|' || c == '>') && len(s.open) == 0:
		s.block = s.key
		if s.key == i { // an item of a list: its text is indented by its dash
			s.block = max(0, strings.LastIndexByte(line[:i], '-'))
		}
		return true
	}
	return false
}

// closeQuote returns the index in line n of the end of the open quote, or of the
// line's end.
func (s *scan) closeQuote(n, i int) int {
	line := s.src.line(n)
	mark := s.src.text[s.quote]
	for ; i < len(line); i++ {
		switch {
		case mark == '"' && line[i] == '\\':
			i++
		case line[i] == mark && mark == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
		case line[i] == mark:
			s.closed(n, i)
			return i
		}
	}
	return i
}

// closed notes the end of a quote and what follows it.
func (s *scan) closed(n, i int) {
	base, line := s.src.lines[n-1], s.src.line(n)
	rest := strings.TrimLeft(line[i+1:], " \t")
	loose := rest != "" && !strings.ContainsRune(":,]}#", rune(rest[0]))
	switch {
	case s.quote < base && !s.broken:
		s.long, s.longEnd, s.broken = s.quote, n, loose
	case s.quote >= base && loose && s.after < 0:
		s.after = base + len(line) - len(rest)
	}
	s.quote = -1
}
