// Package pattern has regular expressions that are compiled when they are first
// needed: a program that compiles all of its own when it starts has spent more
// on them than on the rest of a short command.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that compiles expr once and returns it. The function
// panics if expr is malformed, and is safe for concurrent use.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
