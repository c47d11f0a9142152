package plan

import (
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of a plan. What exceeds one is refused with the limit named.
const (
	MaxSize  = 16 << 20 // bytes of the file
	MaxSteps = 20_000   // gates, steps and hooks
	MaxDepth = 64       // lists and mappings inside each other

	// MaxConditions is in bytes, of all conditions together. Reading one takes far
	// longer than reading as much of other text.
	MaxConditions = 256 << 10

	// maxMarks bounds the memory that reading a file can take: it is the number
	// of characters that can begin a value, several for each line of a plan.
	maxMarks = 2_000_000
)

// readable reports the first reason why the file cannot be read as a plan's
// text at all, and tells whether there is none.
func readable(r *report) bool {
	whole := r.src.whole
	start := Position{Line: 1, Column: 1}
	switch {
	case len(whole) > MaxSize:
		r.add(start, "too-large", "the file is larger than 16 MiB")
	case strings.HasPrefix(whole, "\xFF\xFE") || strings.HasPrefix(whole, "\xFE\xFF"):
		r.add(start, "encoding", "the file is UTF-16").hint("save it as UTF-8")
	case len(strings.TrimSpace(r.src.text)) == 0:
		r.add(start, "empty", "the file is empty").hint(firstLines)
	default:
		return r.characters()
	}
	return false
}

// firstLines is the hint for a file that holds no plan.
const firstLines = "a plan starts with version: 1, name and phases"

// characters reports the first character that YAML does not allow, or that
// editors and YAML take for a line break differently.
func (r *report) characters() bool {
	text, marks := r.src.text, 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= 0x20 && c < 0x7F || c == '\n' || c == '\t' {
			if c == '\n' || c == ',' || c == ':' || c == '[' || c == '{' || c == '-' {
				marks++
			}
			i++
			continue
		}
		char, size := utf8.DecodeRuneInString(text[i:])
		if problem, hint := characterProblem(char, size, text[i:]); problem != "" {
			r.add(r.src.position(i), "encoding", "%s", problem).Hint = hint
			return false
		}
		i += size
	}
	if marks > maxMarks {
		r.add(Position{Line: 1, Column: 1}, "too-large", "the file holds more values than a plan may have").
			hint("a plan has at most %d steps: split it", MaxSteps)
		return false
	}
	return true
}

// characterProblem judges the character at the start of rest, by the printable
// set of YAML 1.2, section 5.1.
func characterProblem(char rune, size int, rest string) (problem, hint string) {
	switch {
	case char == utf8.RuneError && size == 1:
		return "this byte is not UTF-8", "save the file as UTF-8"
	case char == '\r' && strings.HasPrefix(rest, "\r\n"):
		return "", ""
	case char == '\r' || char == 0x85 || char == 0x2028 || char == 0x2029:
		return "this line break is not a newline", "end lines with a newline"
	case char == 0:
		return "a NUL byte has no place in a plan", "is this a text file?"
	case char < 0x20 || char >= 0x7F && char < 0xA0 || char == 0xFEFF || char == 0xFFFE || char == 0xFFFF:
		return "a control character has no place in a plan", `in double quotes it can be written as an escape, such as "\e"`
	}
	return "", ""
}

// lasting writes a duration as a plan does: 5m, not 5m0s.
func lasting(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
