// Command reference writes what a machine can say of the plan language, of its
// tasks and of the journal, from the Go types and their comments: docs/tasks.md
// and docs/plan.md for people, plans/plan.schema.json for editors, docs/language.json for
// the language server, and docs/journal.schema.json for programs that read a journal. Run it as `make generate`.
//
// With -diff it writes nothing, and fails when a file is not what it would write.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

func main() {
	diff := flag.Bool("diff", false, "write nothing, and fail when a file is stale")
	flag.Parse()
	if err := run(".", *diff); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(root string, diff bool) error {
	files, err := generate(root, tasks.All())
	if err != nil {
		return err
	}
	if diff {
		return stale(root, files)
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(root, file.name), file.content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file.name, err)
		}
	}
	return nil
}

// A file is one that is generated, named from the root of the module.
type file struct {
	name    string
	content []byte
}

// generate returns the files for a set of tasks. root is where the sources are.
func generate(root string, set task.Set) ([]file, error) {
	source := newSource(root)
	entries, err := source.entries(set)
	if err != nil {
		return nil, err
	}
	schema, err := source.planSchema(entries)
	if err != nil {
		return nil, err
	}
	contract, err := source.journalSchema()
	if err != nil {
		return nil, err
	}
	known, err := source.languageFile(entries)
	if err != nil {
		return nil, err
	}
	language, err := source.planPage()
	if err != nil {
		return nil, err
	}
	return []file{
		{"docs/plan.md", []byte(language)},
		{"docs/tasks.md", []byte(markdown(entries))},
		{"plans/plan.schema.json", schema},
		{"docs/journal.schema.json", contract},
		{"docs/language.json", known},
	}, nil
}

// stale returns an error that names each file whose content on disk differs.
func stale(root string, files []file) error {
	var stale []error
	for _, file := range files {
		found, err := os.ReadFile(filepath.Join(root, file.name))
		if err != nil {
			stale = append(stale, err)
			continue
		}
		if line := differs(found, file.content); line > 0 {
			stale = append(stale, fmt.Errorf("%s is stale from line %d on: run make generate", file.name, line))
		}
	}
	return errors.Join(stale...)
}

// differs returns the first line, from 1, in which two texts differ; 0 is none.
func differs(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	linesA, linesB := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(linesA), len(linesB)) {
		if !slices.Equal(linesA[i], linesB[i]) {
			return i + 1
		}
	}
	return min(len(linesA), len(linesB)) + 1
}
