package plan

import (
	"strconv"
	"strings"
)

// Meant returns the word that should stand in place of the finding's token, if
// its hint is that another one was meant.
func (d Diagnostic) Meant() (word string, ok bool) {
	quoted, ok := strings.CutPrefix(d.Hint, "did you mean ")
	if !ok {
		return "", false
	}
	quoted, ok = strings.CutSuffix(quoted, "?")
	word, err := strconv.Unquote(quoted)
	return word, ok && err == nil && word == cut(word)
}
