package condition

import "strings"

// identifiers makes source readable for the expression library, to which a
// hyphen is a minus: the hyphens of each step's id become underscores, which no
// id has, and every position stays as it was. It also returns the ids found.
func identifiers(source string) (plain string, ids map[string]string) {
	ids = map[string]string{}
	b := []byte(source)
	for i := 0; i < len(b); i++ {
		if end := quoted(source, i); end > i {
			i = end
			continue
		}
		if !strings.HasPrefix(source[i:], "steps.") || i > 0 && isWord(b[i-1]) {
			continue
		}
		start := i + len("steps.")
		end := start
		for end < len(b) && (isWord(b[end]) || b[end] == '-') {
			end++
		}
		id := source[start:end]
		ids[identifier(id)] = id
		copy(b[start:end], identifier(id))
		i = end - 1
	}
	return string(b), ids
}

// quoted returns the index of the last byte of the text or comment that starts
// at i, or i if none does.
func quoted(source string, i int) int {
	rest := source[i:]
	for start, end := range map[string]string{"//": "\n", "/*": "*/"} {
		if strings.HasPrefix(rest, start) {
			if n := strings.Index(rest[2:], end); n >= 0 {
				return i + 2 + n + len(end) - 1
			}
			return len(source) - 1
		}
	}
	quote := rest[0]
	if quote != '"' && quote != '\'' && quote != '`' {
		return i
	}
	for i++; i < len(source) && source[i] != quote; i++ {
		if source[i] == '\\' && quote != '`' {
			i++
		}
	}
	return i
}

func identifier(id string) string { return strings.ReplaceAll(id, "-", "_") }

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
