package host_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/host"
)

func TestWhoeverApprovesReadsWhichProgramWouldRunAndNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &host.Command{
		Argv:    []string{"sh", "-c", "echo it's done >done; touch ran", "", "a=b"},
		Env:     map[string]string{"WORD": "two words", "LANG": "C"},
		Secrets: map[string]redact.Secret{"TOKEN": redact.NewSecret("hunter22")},
		Dir:     task.Path(dir),
		Unless:  []string{"test", "-e", "done"},
	}
	preview, err := c.Preview(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`LANG=C WORD='two words' TOKEN=... sh -c 'echo it'\''s done >done; touch ran' '' a=b`,
		"in " + dir,
		"unless this says that it is done: test -e done",
	}
	if !slices.Equal(preview.Does, want) {
		t.Errorf("got %s", strings.Join(preview.Does, "\n"))
	}
}
