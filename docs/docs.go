// Package docs holds the references of tasks and rules, so that the program can print
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

//go:embed rules.md
var rules string

// Rule returns the section of a plan's rule by its name, in Markdown and with its
// heading, and whether there is one.
func Rule(name string) (section string, ok bool) { return sectionOf(rules, name) }

// Task returns the section of the task called name ("system/verb"), in Markdown
// and with its heading, and whether there is one.
func Task(name string) (section string, ok bool) { return sectionOf(tasks, name) }

// sectionOf returns the section of a page under the heading name.
func sectionOf(page, name string) (section string, ok bool) {
	_, section, ok = strings.Cut(page, "\n## "+name+"\n")
	if !ok {
		return "", false
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return "## " + name + "\n" + strings.TrimRight(section, "\n") + "\n", true
}
