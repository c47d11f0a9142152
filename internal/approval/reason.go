package approval

import (
	"errors"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/task"
)

// address is what may be an e-mail address.
var address = pattern.Lazy(`[^\s@]+@[^\s@]+`)

// longest is how much of what somebody wrote at a forge is kept, in characters.
const longest = 500

// Impersonal refuses a reason with an address in it: journals hold none, and a
// signed statement can never be changed.
func Impersonal(reason string) error {
	if !address().MatchString(reason) {
		return nil
	}
	return task.Hint(errors.New("the reason has what looks like an e-mail address, and journals hold none"),
		"say it without naming anybody")
}

// Masked is what may be kept of a reason that cannot be refused: one line, without
// the addresses in it.
func Masked(reason string) string {
	line := []rune(address().ReplaceAllString(strings.Join(strings.Fields(reason), " "), "[address]"))
	return string(line[:min(len(line), longest)])
}
