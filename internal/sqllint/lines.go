package sqllint

import "strings"

// Lines returns each statement of src on one line: its tokens with one space
// between them and none around a dot, without comments, and with nothing left of
// what stands in strings. What a statement is can be told by its first words then.
func Lines(src string) []string {
	all, _ := lex(src)
	var lines []string
	for _, stmt := range statements(all) {
		var line strings.Builder
		for i, t := range stmt {
			if i > 0 && !t.is(".") && !stmt[i-1].is(".") {
				line.WriteByte(' ')
			}
			line.WriteString(t.source(src))
		}
		lines = append(lines, line.String())
	}
	return lines
}

// source is the token as it is written, but for what stands in a string.
func (t token) source(src string) string {
	if t.kind == text {
		return "''"
	}
	_, length := lexeme(src[t.pos:])
	return src[t.pos : t.pos+length]
}
