package plan

import (
	"strings"
	"unicode"
)

// A cause looks whether it explains why YAML failed with message at line, and
// reports it if so.
type cause func(r *report, s *scan, message string, line int) bool

// causes are tried in this order.
func causes() []cause {
	return []cause{
		causeTab, causeSpace, causeLongQuote, causeUnclosedQuote, causeReference, causeBracket, causeAlias, causeStart, causeColon,
		causeKey, causeWords,
	}
}

func causeTab(r *report, s *scan, message string, line int) bool {
	if s.tab < 0 || !strings.Contains(message, "tab") && !strings.Contains(message, "cannot start any token") {
		return false
	}
	r.add(r.src.position(s.tab), "syntax", "a tab cannot indent a line").hint("indent with spaces")
	return true
}

// causeSpace finds an indentation with a space that is none to YAML, as comes with
// text that is copied from a page.
func causeSpace(r *report, _ *scan, _ string, line int) bool {
	for n := max(1, line-1); n <= line; n++ {
		text := r.src.shown(n)
		blank := text[:len(text)-len(strings.TrimLeftFunc(text, unicode.IsSpace))]
		i := strings.IndexFunc(blank, func(c rune) bool { return c > unicode.MaxASCII })
		if i >= 0 {
			r.add(r.src.position(r.src.lines[n-1]+i), "syntax", "a non-breaking or other special space cannot indent a line").hint("indent with plain spaces")
			return true
		}
	}
	return false
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
	if s.bare < r.src.lines[line-1] {
		return false
	}
	f := r.add(r.src.position(s.bare), "syntax", "a reference between [ ] or { } needs quotes").
		hint(`write "${{ ... }}"`)
	f.Width = len(opening)
	return true
}

func causeBracket(r *report, s *scan, message string, line int) bool {
	if message != "did not find expected node content" && !strings.HasPrefix(message, "did not find expected ','") {
		return false
	}
	top := len(s.open) - 1
	text := r.src.shown(line)
	switch {
	case s.eaten >= 0:
		r.add(r.src.position(s.eaten), "syntax", "a comment begins here, and the end of the bracket is in it").
			hint("put the value in quotes if it begins with #")
	case s.after >= 0:
		r.add(r.src.position(s.after), "syntax", "text after a closing quote").hint("put a comma before it, or the whole value in quotes")
	case s.crowded >= 0:
		r.add(r.src.position(s.crowded), "syntax", "a second colon before the next comma").
			hint("put a comma between two items, or the value in quotes")
	case message == "did not find expected node content" && strings.ContainsAny(text, ",]}"):
		r.add(r.src.position(r.src.lines[line-1]+strings.IndexAny(text, ",]}")), "syntax", "a value is missing here")
	case s.inner >= 0:
		f := r.add(r.src.position(s.inner), "syntax", "a value between brackets cannot have a %c inside", r.src.text[s.inner])
		if f.hint("put the value in quotes"); r.src.text[s.inner] != '?' {
			f.hint("put the value in quotes, or a comma before the bracket")
		}
	case s.mismatch >= 0:
		r.add(r.src.position(s.mismatch), "syntax", "this bracket closes none of its kind")
	case top >= 0:
		closer := map[byte]string{'[': "]", '{': "}"}[r.src.text[s.open[top].at]]
		r.add(r.src.position(s.open[top].at), "syntax", "this bracket is not closed").
			hint("close it with %s, and put a comma between two items", closer)
	default:
		return false
	}
	return true
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
		above := strings.TrimLeft(r.src.shown(line-1), " ")
		if len(above) > 1 && above[0] == '-' && above[1] != ' ' && above[1] != '-' {
			r.add(r.src.firstWord(line-1), "syntax", "there is no space after this dash").hint(`write "- key: value"`)
			return true
		}
		r.add(r.src.firstWord(line), "syntax", "this key belongs to nothing: the line above has a value already, or lacks its colon").
			hint("check the colon above and the indentation here")
		return true
	case "could not find expected ':'":
		if shown := r.src.shown(line); strings.HasPrefix(shown, "<<<<<<<") || strings.HasPrefix(shown, "=======") || strings.HasPrefix(shown, ">>>>>>>") {
			r.add(r.src.firstWord(line), "syntax", "a merge was left half done here").hint("keep one of the two sides, and remove the marks")
			return true
		}
		if strings.HasPrefix(strings.TrimLeft(r.src.shown(line), " "), "//") {
			r.add(r.src.firstWord(line), "syntax", "this is no comment").hint("begin a comment with #")
			return true
		}
		if i := strings.IndexByte(r.src.shown(line), ':'); i >= 0 {
			r.add(r.src.position(r.src.lines[line-1]+i), "syntax", "there is no space after this colon").hint(`write "key: value"`)
			return true
		}
		r.add(r.src.firstWord(line), "syntax", "this key has no colon").hint(`write "key: value"`)
		return true
	}
	return false
}

// causeKey looks at a line that goes on where no key or item can.
func causeKey(r *report, s *scan, message string, line int) bool {
	p := r.src.firstWord(line)
	switch {
	case message != "did not find expected '-' indicator" && message != "did not find expected key":
		return false
	case s.after >= 0:
		r.add(r.src.position(s.after), "syntax", "text after a closing quote").hint("put the whole value in quotes")
	case s.mismatch >= 0:
		r.add(r.src.position(s.mismatch), "syntax", "this bracket closes none of its kind")
	case s.behind >= r.src.lines[line-1]:
		r.add(r.src.position(s.behind), "syntax", "text after a closing bracket").hint("put the whole value in quotes")
	case message == "did not find expected '-' indicator":
		r.add(p, "syntax", "a list goes on here, but the line does not start with -").hint("start it with - or change its indentation")
	case strings.HasPrefix(strings.TrimLeft(r.src.shown(line), " "), "- "):
		r.add(p, "syntax", "an item of a list stands among keys").hint("put the list under a key of its own, or indent it like its list")
	default:
		r.add(p, "syntax", "this line fits no level of indentation above it").hint("indent it like the keys that it belongs to")
	}
	return true
}

// causeWords says the library's other messages in plain words.
func causeWords(r *report, s *scan, message string, line int) bool {
	p, text := r.src.firstWord(line), r.src.shown(line)
	switch {
	case strings.HasPrefix(message, "block sequence entries"):
		if i := strings.Index(text, ": - "); i >= 0 {
			p = r.src.position(r.src.lines[line-1] + i + len(": "))
		}
		r.add(p, "syntax", "a list cannot start on the line of its key").hint("start it on the next line")
	case strings.Contains(message, "escape") || strings.Contains(message, "hexdecimal"):
		if i := strings.IndexByte(text, '\\'); i >= 0 {
			p = r.src.position(r.src.lines[line-1] + i)
		}
		r.add(p, "syntax", "an escape that YAML does not know").hint(`write \\ for a backslash, or use single quotes`)
	case strings.HasPrefix(message, "exceeded max depth"):
		r.add(p, "nesting", "lists and mappings are nested more than %d deep", MaxDepth)
	default:
		return false
	}
	return true
}
