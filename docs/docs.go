// Package docs holds the reference of the tasks, so that the program can print
// what the page says.
package docs

import (
	_ "embed"
	"strings"
)

//go:embed tasks.md
var tasks string

// Tasks returns the whole reference, in Markdown. `make generate` writes it from
// the sources of the tasks.
func Tasks() string { return tasks }

// Task returns the section of the task called name ("system/verb"), in Markdown
// and with its heading, and whether there is one.
func Task(name string) (section string, ok bool) {
	_, section, ok = strings.Cut(tasks, "\n## "+name+"\n")
	if !ok {
		return "", false
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return "## " + name + "\n" + strings.TrimRight(section, "\n") + "\n", true
}
