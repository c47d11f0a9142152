package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/internal/reference/testdata/silent"
	"github.com/medlogistics/phasegate/internal/reference/testdata/toy"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

const root = "../.."

var update = flag.Bool("update", false, "rewrite the golden files")

func TestCommittedFilesAreWhatTheSourcesSay(t *testing.T) {
	t.Parallel()
	files, err := generate(root, tasks.All())
	if err != nil {
		t.Fatal(err)
	}
	if err := stale(root, files); err != nil {
		t.Error(err)
	}
}

func TestEveryTypeOfKeyIsDescribed(t *testing.T) {
	t.Parallel()
	files, err := generate(root, toy.Tasks())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files[:2] { // the journal's is the same for all tasks
		golden := filepath.Join("testdata", filepath.Base(file.name))
		if *update {
			if err := os.WriteFile(golden, file.content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if line := differs(want, file.content); line > 0 {
			t.Errorf("%s differs from line %d on (-update rewrites it):\n%s", golden, line, file.content)
		}
	}
}

func TestEverythingThatHasNoCommentIsNamed(t *testing.T) {
	t.Parallel()
	_, err := generate(root, task.NewSet(task.Of("shed/mute", &silent.Mute{})))
	if err == nil {
		t.Fatal("a task without comments passed")
	}
	for _, want := range []string{
		"task shed/mute", "silent.Mute has no comment", "silent.Mute.Key has no comment", ".Inner has no comment",
		"silent.Nothing.Count has no comment",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestProgramCanExplainEveryTask(t *testing.T) {
	t.Parallel()
	for _, spec := range tasks.All().All() {
		section, ok := docs.Task(spec.Name)
		if !ok || !strings.HasPrefix(section, "## "+spec.Name+"\n\nKind: ") || strings.Count(section, "\n## ") > 0 {
			t.Errorf("docs.Task(%q) = %q, %t", spec.Name, section, ok)
		}
	}
	if section, ok := docs.Task("shed/unknown"); ok {
		t.Errorf("a task that is not there is explained: %q", section)
	}
	if !strings.HasPrefix(docs.Tasks(), "# The tasks\n") {
		t.Error("docs.Tasks is not the page")
	}
}

func TestStaleFileIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old.md"), []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := stale(dir, []file{{"old.md", []byte("one\n2\nthree\n")}, {"missing.md", nil}})
	if err == nil || !strings.Contains(err.Error(), "old.md is stale from line 2 on") || !strings.Contains(err.Error(), "missing.md") {
		t.Errorf("err = %v", err)
	}
	if err := stale(dir, []file{{"old.md", []byte("one\ntwo\nthree\n")}}); err != nil {
		t.Errorf("a fresh file: %v", err)
	}
}
