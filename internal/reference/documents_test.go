package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

// documents are the pages for people, by name, with their text.
func documents(t *testing.T) map[string]string {
	t.Helper()
	documents := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			documents[filepath.ToSlash(name)] = string(text)
		}
	}
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/tasks.md"} {
		if documents[name] == "" {
			t.Fatalf("%s is missing or empty", name)
		}
	}
	return documents
}

func TestPlansInTheDocumentsAreValid(t *testing.T) {
	t.Parallel()
	fenced := regexp.MustCompile("(?s)\n```yaml\n(version:.*?)\n```\n")
	found := 0
	for name, text := range documents(t) {
		if name == "docs/rules.md" {
			continue // half of its plans are bad ones
		}
		for _, match := range fenced.FindAllStringSubmatch(text, -1) {
			found++
			_, findings := plan.Parse(filepath.Join(root, name), []byte(match[1]+"\n"), tasks.All())
			for _, finding := range findings {
				t.Errorf("a plan in %s:\n%s", name, finding.Render())
			}
		}
	}
	if found == 0 {
		t.Error("no document shows a plan")
	}
}

func TestTargetsInTheDocumentsAreInTheMakefile(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z]+)")
	found := 0
	for name, text := range documents(t) {
		for _, match := range named.FindAllStringSubmatch(text, -1) {
			found++
			target := regexp.MustCompile(`(?m)^` + match[1] + `:.* ## `)
			if !target.Match(makefile) {
				t.Errorf("%s names make %s, which `make help` does not list", name, match[1])
			}
		}
	}
	if found == 0 {
		t.Error("no document names a target")
	}
}

func TestLinksInTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	pages := documents(t)
	for name, text := range pages {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			page := name
			if target != "" {
				page = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join(root, page)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if fragment != "" && !hasHeading(pages[page], fragment) {
				t.Errorf("%s links to a heading of %s for #%s, which is not there", name, page, fragment)
			}
		}
	}
}

// hasHeading tells whether one of the page's headings gets that anchor, as GitHub
// makes them: in lower case, without punctuation, with dashes for spaces.
func hasHeading(text, anchor string) bool {
	punctuation := regexp.MustCompile(`[^\pL\pN _-]`)
	for line := range strings.Lines(text) {
		heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		slug := punctuation.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func TestFoldersInTheArchitectureAreThere(t *testing.T) {
	t.Parallel()
	_, text, ok := strings.Cut(documents(t)["ARCHITECTURE.md"], "## Where things are\n\n```\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md does not say where things are")
	}
	tree, _, _ := strings.Cut(text, "```")
	above := ""
	for line := range strings.Lines(tree) {
		name := strings.Fields(line)[0]
		if strings.HasPrefix(line, " ") {
			name = filepath.Join(above, name)
		} else {
			above = name
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
}
