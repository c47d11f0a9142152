package plan

import (
	"slices"
	"strings"
)

// marker begins a comment that silences one warning on its line, or on the line
// below if it stands alone:
//
//	# phasegate:ignore RULE reason
const marker = "phasegate:ignore"

func ignoreRules() []Rule {
	return []Rule{
		{"ignore", Error, "a warning is silenced by name and with a reason, so that a reader can judge it", nil},
		{"unused-ignore", Warning, "a comment that silences nothing hides the next warning in its place", nil},
	}
}

// An ignore is one such comment.
type ignore struct {
	pos   Position // of its #
	width int
	line  int // that it silences
	rule  string
	used  bool
}

// ignores notes the comments that silence warnings, and reports those that are
// malformed.
func (r *report) findIgnores() {
	if !strings.Contains(r.src.text, marker) {
		return
	}
	s := scanTo(r.src, len(r.src.lines))
	severities := map[string]Severity{}
	var names []string
	for _, rule := range Rules() {
		if severities[rule.Name] = rule.Severity; rule.Severity != Error {
			names = append(names, rule.Name)
		}
	}
	for _, at := range s.comments {
		pos := r.src.position(at)
		comment, ok := strings.CutPrefix(strings.TrimLeft(r.src.shown(pos.Line)[at-r.src.lines[pos.Line-1]:], "# \t"), marker)
		if !ok || comment != "" && !isBlank(comment[0]) {
			continue
		}
		rule, reason, _ := strings.Cut(strings.TrimSpace(comment), " ")
		wrong := func(format string, args ...any) *finding {
			f := r.add(pos, "ignore", format, args...)
			f.Width = len(marker) + 2
			return f
		}
		switch severity, known := severities[rule]; {
		case rule == "":
			wrong("this comment names no rule").hint("write # %s RULE reason", marker)
		case !known:
			wrong("there is no rule %s", quote(rule)).Hint = r.didYouMean(rule, names)
		case severity == Error:
			wrong("%s is an error, which cannot be silenced", rule).hint("mend it: only warnings can be silenced")
		default:
			if strings.TrimSpace(reason) == "" { // it silences all the same: what is missing is the reason
				wrong("this comment gives no reason").hint("write # %s %s and why the warning does not apply here", marker, rule)
			}
			r.ignores = append(r.ignores, &ignore{pos: pos, width: len(marker) + 2, line: r.src.commented(pos), rule: rule})
		}
	}
}

// commented returns the line that a comment is about: its own, or the next one
// with anything else on it if it stands alone.
func (s *source) commented(p Position) int {
	if strings.TrimSpace(string([]rune(s.line(p.Line))[:p.Column-1])) != "" {
		return p.Line
	}
	n := p.Line + 1
	for n < len(s.lines) && (strings.TrimSpace(s.line(n)) == "" || strings.HasPrefix(strings.TrimSpace(s.line(n)), "#")) {
		n++
	}
	return n
}

// silence takes out the warnings that comments silence, each at most one, and
// reports the comments that silence nothing. With errors in the plan not every
// rule was asked, so those are not judged.
func (r *report) silence() {
	if len(r.ignores) == 0 {
		return
	}
	r.list = slices.DeleteFunc(r.list, func(f *finding) bool {
		if f.Severity == Error {
			return false
		}
		i := slices.IndexFunc(r.ignores, func(i *ignore) bool { return !i.used && i.line == f.Pos.Line && i.rule == f.Rule })
		if i >= 0 {
			r.ignores[i].used = true
		}
		return i >= 0
	})
	if r.hasErrors() {
		return
	}
	for _, i := range r.ignores {
		if !i.used {
			f := r.add(i.pos, "unused-ignore", "nothing on line %d breaks the rule %s", i.line, i.rule).warn().hint("remove the comment")
			f.Width = i.width
		}
	}
}
