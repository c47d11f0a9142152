package bench

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of docs/benchmarks.md names a benchmark that is there, so that no
// figure outlives the code that measured it.
func TestEveryRowOfTheTableHasItsBenchmark(t *testing.T) {
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	there := benchmarks(t, "../..")
	rows := 0
	for line := range strings.Lines(string(page)) {
		name := regexp.MustCompile("`([a-z0-9/]+)\\.(Benchmark\\w+)`").FindStringSubmatch(line)
		if name == nil || !strings.HasPrefix(line, "|") {
			continue
		}
		rows++
		if !there[name[1]+"."+name[2]] {
			t.Errorf("the row of %s.%s has no benchmark", name[1], name[2])
		}
	}
	if rows == 0 {
		t.Error("the page has no row")
	}
}

// benchmarks returns those below root, as package's directory, a dot, and name.
func benchmarks(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Benchmark\w+)\(`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, name := range declared.FindAllSubmatch(source, -1) {
			found[filepath.ToSlash(dir)+"."+string(name[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
