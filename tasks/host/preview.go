package host

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// Preview says which program would run, as one would call it in a shell: of
// secrets only the names of their variables.
func (c *Command) Preview(context.Context, *task.Env) (task.Preview, error) {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		words = append(words, name+"="+shown(c.Env[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		words = append(words, name+"=...")
	}
	does := []string{strings.Join(append(words, spoken(c.Argv)), " ")}
	if c.Dir != "" {
		does = append(does, "in "+string(c.Dir))
	}
	if len(c.Unless) > 0 {
		does = append(does, "unless this says that it is done: "+spoken(c.Unless))
	}
	return task.Preview{Does: does}, nil
}

// spoken returns the command line that calls a program with its arguments.
func spoken(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = shown(word)
	}
	return strings.Join(words, " ")
}

// shown returns a word as a shell takes it, in quotes if it needs them.
func shown(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:@%"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
