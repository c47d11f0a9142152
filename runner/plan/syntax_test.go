package plan_test

import (
	"os"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// In a large file the line is found with fewer readings.
func TestAMistakeOfYAMLIsFoundAtItsLineInALargeFileToo(t *testing.T) {
	t.Parallel()
	const lines = 10_000
	before := strings.Repeat("# "+strings.Repeat("-", 40)+"\n", lines)
	for _, file := range cases(t, "bad", 50) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, small := plan.Parse(file, src, plantest.Tasks())
		if len(small) == 0 || small[0].Rule != "syntax" {
			continue
		}
		_, large := plan.Parse(file, []byte(before+string(src)), plantest.Tasks())
		want := plan.Position{Line: small[0].Pos.Line + lines, Column: small[0].Pos.Column}
		if len(large) != len(small) || large[0].Pos != want {
			t.Errorf("%s: got %v, want it at %v\n%v", file, large[0].Pos, want, large[0].Render())
		}
	}
}
