package plan

import "strings"

// scan is a rough reading of the file up to a line, made only when YAML cannot
// be read: it knows which quotes and brackets are open and where tabs stand.
type scan struct {
	src *source

	tab      int    // offset of the first tab in an indentation, or -1
	open     []int  // offsets of the brackets that are open at the end
	quote    int    // offset of the quote that is open at the end, or -1
	long     int    // offset of the last quote that went over the end of its line, or -1
	longEnd  int    // line on which it was closed
	broken   bool   // text that fits nothing follows it there
	block    int    // indentation of the block text being passed, or -1
	colons   []int  // offsets of ": " in the last line
	starts   []int  // offsets of the tokens in the last line
	last     int    // the last line
	lineWord string // the last line's text
}

// scanTo reads the lines up to last.
func scanTo(src *source, last int) *scan {
	s := &scan{src: src, tab: -1, quote: -1, long: -1, block: -1, last: last, lineWord: src.line(last)}
	for n := 1; n <= len(src.lines) && (n <= last || s.quote >= 0); n++ {
		if !s.skipped(n) && len(src.line(n)) <= longestLine {
			s.line(n)
		}
	}
	return s
}

// skipped passes over blank lines and block texts.
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
	return text[0] == '#'
}

// line reads one line of structure.
func (s *scan) line(n int) {
	base, line := s.src.lines[n-1], s.src.line(n)
	if n == s.last {
		s.colons, s.starts = nil, nil
	}
	key := -1            // where the line's first token starts, after dashes
	start := s.quote < 0 // a token may start here
	for i := 0; i < len(line); i++ {
		if s.quote >= 0 {
			i = s.closeQuote(n, i)
			start = false
			continue
		}
		c := line[i]
		switch {
		case c == ' ' || c == '\t':
			continue
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return
		case s.separator(line, i):
			start = true
			if c == ':' && n == s.last {
				s.colons = append(s.colons, base+i)
			}
			continue
		case c == '[' || c == '{':
			if start {
				s.open = append(s.open, base+i)
			}
			continue
		case c == ']' || c == '}':
			if len(s.open) > 0 {
				s.open = s.open[:len(s.open)-1]
			}
			continue
		}
		if !start {
			continue
		}
		start = false
		if key < 0 {
			key = i
		}
		if n == s.last {
			s.starts = append(s.starts, base+i)
		}
		if c == '"' || c == '\'' {
			s.quote = base + i
		} else if (c == '|' || c == '>') && len(s.open) == 0 {
			s.block = max(0, key)
			if key == i {
				s.block = max(0, strings.LastIndexByte(line[:i], '-'))
			}
			return
		}
	}
}

// separator tells whether the byte at i ends a token: a colon or a dash before a
// space, or a comma between brackets.
func (s *scan) separator(line string, i int) bool {
	last := i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t'
	switch line[i] {
	case ':':
		return last
	case '-', '?':
		return last && strings.Trim(line[:i], " -?") == ""
	case ',':
		return len(s.open) > 0
	}
	return false
}

// closeQuote returns the index in line n of the end of the open quote, or of the
// line's last byte.
func (s *scan) closeQuote(n, i int) int {
	base, line := s.src.lines[n-1], s.src.line(n)
	mark := s.src.text[s.quote]
	for ; i < len(line); i++ {
		switch {
		case mark == '"' && line[i] == '\\':
			i++
		case line[i] == mark && mark == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
		case line[i] == mark:
			if s.quote < base && !s.broken {
				s.long, s.longEnd = s.quote, n
				rest := strings.TrimSpace(line[i+1:])
				s.broken = rest != "" && !strings.ContainsRune(":,]}#", rune(rest[0]))
			}
			s.quote = -1
			return i
		}
	}
	return i
}
