package plan

import "strings"

// A cause looks whether it explains why YAML failed with message at line, and
// reports it if so.
type cause func(r *report, s *scan, message string, line int) bool

// causes are tried in this order.
func causes() []cause {
	return []cause{
		causeTab, causeLongQuote, causeUnclosedQuote, causeReference, causeBracket, causeAlias, causeStart, causeColon,
		causeWords,
	}
}

func causeTab(r *report, s *scan, message string, line int) bool {
	if s.tab < 0 || !strings.Contains(message, "tab") && !strings.Contains(message, "cannot start any token") {
		return false
	}
	r.add(r.src.position(s.tab), "syntax", "a tab cannot indent a line").hint("indent with spaces")
	return true
}

func causeUnclosedQuote(r *report, s *scan, message string, _ int) bool {
	if s.quote < 0 {
		return false
	}
	r.add(r.src.position(s.quote), "syntax", "this quote is never closed")
	return true
}

// causeLongQuote finds the quote that was meant to end on its line, ran on to
// the next one in the file, and left the rest of that line in the open.
func causeLongQuote(r *report, s *scan, _ string, line int) bool {
	if s.long < 0 || s.longEnd != line && !s.broken {
		return false
	}
	r.add(r.src.position(s.long), "syntax", "this quote runs on to line %d", s.longEnd).hint("close it on its own line")
	return true
}

func causeReference(r *report, s *scan, _ string, line int) bool {
	text := r.src.shown(line)
	i := strings.Index(text, "${{")
	if i < 0 || len(s.open) == 0 && !strings.ContainsAny(text[:i], "[{") || strings.ContainsAny(text[max(0, i-1):i], `"'`) {
		return false
	}
	f := r.add(r.src.position(r.src.lines[line-1]+i), "syntax", "a reference between [ ] or { } needs quotes").
		hint(`write "${{ ... }}"`)
	f.Width = len("${{")
	return true
}

func causeBracket(r *report, s *scan, message string, line int) bool {
	closer := ""
	if len(s.open) > 0 {
		closer = map[byte]string{'[': "]", '{': "}"}[r.src.text[s.open[len(s.open)-1]]]
	}
	unfinished := strings.HasPrefix(message, "did not find expected ','") ||
		message == "did not find expected node content" && !strings.ContainsAny(r.src.shown(line), ",]}")
	switch {
	case unfinished && closer != "":
		r.add(r.src.position(s.open[len(s.open)-1]), "syntax", "this bracket is not closed").
			hint("close it with %s, and put a comma between two items", closer)
		return true
	case message == "did not find expected node content":
		p := r.src.firstWord(line)
		if i := strings.IndexAny(r.src.shown(line), ",]}"); i >= 0 {
			p = r.src.position(r.src.lines[line-1] + i)
		}
		r.add(p, "syntax", "a value is missing here")
		return true
	}
	return false
}

// causeAlias finds an alias without its anchor, which is mostly meant as text.
func causeAlias(r *report, _ *scan, message string, _ int) bool {
	name, ok := strings.CutPrefix(message, "unknown anchor '")
	if !ok {
		return false
	}
	name, _, _ = strings.Cut(name, "'")
	i := max(0, strings.Index(r.src.text, "*"+name))
	f := r.add(r.src.position(i), "alias", "the anchor %s is not defined before this line", quote("&"+name)).
		hint("quote the value if it should begin with *")
	f.Width = len("*" + name)
	return true
}

// causeStart finds a value that begins with a character that YAML keeps for
// itself.
func causeStart(r *report, s *scan, message string, line int) bool {
	if !strings.Contains(message, "cannot start any token") && !strings.Contains(message, "alphabetic or numeric") &&
		message != "did not find expected comment or line break" {
		return false
	}
	for _, at := range s.starts {
		if c := r.src.text[at]; strings.IndexByte("@`%*&|>", c) >= 0 {
			r.add(r.src.position(at), "syntax", "a value cannot begin with %c", c).hint("put the value in quotes")
			return true
		}
	}
	return false
}

func causeColon(r *report, s *scan, message string, line int) bool {
	switch message {
	case "mapping values are not allowed in this context":
		if len(s.colons) > 1 {
			r.add(r.src.position(s.colons[1]), "syntax", "a second colon on one line").hint("put the value in quotes if the colon belongs to it")
			return true
		}
		r.add(r.src.firstWord(line), "syntax", "this key belongs to nothing: the line above has a value already, or lacks its colon").
			hint("check the colon above and the indentation here")
		return true
	case "could not find expected ':'":
		r.add(r.src.firstWord(line), "syntax", "this key has no colon").hint(`write "key: value"`)
		return true
	}
	return false
}

// causeWords says the library's other messages in plain words, at the first
// word of the line.
func causeWords(r *report, s *scan, message string, line int) bool {
	p := r.src.firstWord(line)
	switch message {
	case "did not find expected key":
		if s.longEnd == 0 && len(s.colons) > 0 && len(s.starts) > 1 {
			if quoted := r.src.text[s.starts[1]:]; quoted[0] == '"' || quoted[0] == '\'' {
				p = r.src.position(s.starts[1] + quotedLength(strings.SplitN(quoted, "\n", 2)[0]))
				r.add(p, "syntax", "text after a closing quote").hint("put the whole value in quotes")
				return true
			}
		}
		r.add(p, "syntax", "this line fits no level of indentation above it").hint("indent it like the keys that it belongs to")
	case "did not find expected '-' indicator":
		r.add(p, "syntax", "a list goes on here, but the line does not start with -").hint("start it with - or change its indentation")
	case "block sequence entries are not allowed in this context":
		for _, at := range s.starts {
			if r.src.text[at] == '-' {
				p = r.src.position(at)
				break
			}
		}
		r.add(p, "syntax", "a list cannot start on the line of its key").hint("start it on the next line")
	case "found unknown escape character":
		if i := strings.IndexByte(r.src.shown(line), '\\'); i >= 0 {
			p = r.src.position(r.src.lines[line-1] + i)
		}
		r.add(p, "syntax", "an escape that YAML does not know").hint(`write \\ for a backslash, or use single quotes`)
	case "exceeded max depth of 10000":
		r.add(p, "nesting", "lists and mappings are nested more than %d deep", MaxDepth)
	default:
		return false
	}
	return true
}
