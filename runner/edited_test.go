package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

func TestDifferenceOfAnEditedPlanIsMaskedAndOfAReadableLength(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("d", fails(os.ErrDeadlineExceeded))
	b.expect(b.run(t.Context()), journal.Failed, "a", "ab", "g", "c", "d")
	b.edit(halting() + "# hunter22\n" + strings.Repeat("# more\n", 1000))
	b.options.Mask = func(text string) string { return strings.ReplaceAll(text, "hunter22", "***") }
	_, err := Run(t.Context(), b.plan, b.options)
	if !isRefused(err) || !strings.Contains(err.Error(), "+# ***\n") || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("%v", err)
	}
	if n := strings.Count(err.Error(), "\n"); n > shown+1 || !strings.Contains(err.Error(), "more lines") {
		t.Errorf("%d lines:\n%v", n, err)
	}
}

// What a killed process left half written is not taken for the original.
func TestKeptFileThatIsNotWholeIsNotShown(t *testing.T) {
	b := newBench(t, halting())
	b.world.when("d", fails(os.ErrDeadlineExceeded))
	state := b.run(t.Context())
	files, err := filepath.Glob(filepath.Join(b.options.Dir, state.Run, keptDir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	b.edit(halting() + "# edited\n")
	_, err = Run(t.Context(), b.plan, b.options)
	if !isRefused(err) || !strings.Contains(err.Error(), "was changed: the plan itself") || strings.Contains(err.Error(), "+++") {
		t.Errorf("%v", err)
	}
}
