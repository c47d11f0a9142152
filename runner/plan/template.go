package plan

import "strings"

// A reference is one ${{ ... }} in a value.
type reference struct {
	root  string // "env", "steps", "run" or "plan"
	name  string // of the variable, or the step's id, or "id", or "digest"
	field string // of the step's receipt

	fallback    string // what it stands for if the step left no receipt
	hasFallback bool

	offset, width   int // of the whole, in the value: bytes, characters
	nameAt, fieldAt int // bytes
}

func (r reference) String() string {
	s := r.root + "." + r.name
	if r.field != "" {
		s += "." + r.field
	}
	return s
}

// A segment of a value is either plain text or a reference.
type segment struct {
	text string
	ref  *reference
}

// A slip is a mistake in the writing of a reference.
type slip struct {
	offset, width int
	message, hint string
}

const (
	opening = "${{"
	closing = "}}"
	escape  = "$" + opening
)

// segments cuts a value into its texts and references. What cannot be read as a
// reference is among the slips, and not in the segments.
func segments(value string) (parts []segment, slips []slip) {
	text := func(s string) {
		if s == "" {
			return
		}
		if last := len(parts) - 1; last >= 0 && parts[last].ref == nil {
			parts[last].text += s
			return
		}
		parts = append(parts, segment{text: s})
	}
	for at := 0; ; {
		open := strings.Index(value[at:], opening)
		if open < 0 {
			text(value[at:])
			return parts, slips
		}
		open += at
		if open > at && value[open-1] == '$' {
			text(value[at:open-1] + opening)
			at = open + len(opening)
			continue
		}
		text(value[at:open])
		end := strings.Index(value[open:], closing)
		if end < 0 {
			return parts, append(slips, slip{open, len(opening), "the reference is not closed", "close it with }}, or write $${{ for the characters themselves"})
		}
		at = open + end + len(closing)
		ref, wrong := parseReference(value[open:at], open)
		if wrong != nil {
			slips = append(slips, *wrong)
			continue
		}
		parts = append(parts, segment{ref: ref})
	}
}

// parseReference reads one reference, delimiters included, that stands at offset
// in its value.
func parseReference(whole string, offset int) (*reference, *slip) {
	inner := whole[len(opening) : len(whole)-len(closing)]
	inner, fallback, hasFallback := strings.Cut(inner, "||")
	path := strings.TrimSpace(inner)
	start := offset + len(opening) + strings.Index(inner, path)
	root, rest, _ := strings.Cut(path, ".")
	name, field, _ := strings.Cut(rest, ".")
	ref := &reference{root: root, offset: offset, width: runes(whole), hasFallback: hasFallback}
	wrong := func(message, hint string) (*reference, *slip) {
		return nil, &slip{start, max(1, runes(path)), message, hint}
	}
	want := form(ref.root)
	switch {
	case path == "":
		return wrong("the reference is empty", "write env.NAME, steps.ID.FIELD, run.id or plan.digest")
	case strings.ContainsAny(path, " \t\n()=<>+*/&|!?'\"[]"):
		return wrong("a reference is a name, not an expression", "write env.NAME, steps.ID.FIELD, run.id or plan.digest")
	case want == "":
		return wrong("there is nothing called "+quote(ref.root)+" to refer to", "write env.NAME, steps.ID.FIELD, run.id or plan.digest")
	case strings.Count(path, ".") != strings.Count(want, ".") || strings.HasSuffix(path, ".") || name == "":
		return wrong("a reference to "+ref.root+" is written "+want, "")
	case ref.root == "run" && path != "run.id" || ref.root == "plan" && path != "plan.digest":
		return wrong(quote(path)+" does not exist", "write "+want)
	}
	if hasFallback {
		text, ok := literal(strings.TrimSpace(fallback))
		if ref.fallback = text; !ok || ref.root != "steps" {
			return wrong("only steps.ID.FIELD has a default, which is a text in single quotes", "write steps.ID.FIELD || 'text'")
		}
	}
	ref.name, ref.nameAt = name, start+len(ref.root)+1
	if ref.root == "steps" {
		ref.field, ref.fieldAt = field, ref.nameAt+len(ref.name)+1
	}
	return ref, nil
}

// literal returns what a text in single quotes holds.
func literal(quoted string) (text string, ok bool) {
	text, ok = strings.CutPrefix(quoted, "'")
	text, closed := strings.CutSuffix(text, "'")
	return text, ok && closed && !strings.Contains(text, "'")
}

// form is how a reference to root is written, or "" if there is no such root.
func form(root string) string {
	switch root {
	case "env":
		return "env.NAME"
	case "steps":
		return "steps.ID.FIELD"
	case "run":
		return "run.id"
	case "plan":
		return "plan.digest"
	}
	return ""
}
