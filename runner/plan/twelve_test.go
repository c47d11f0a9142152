package plan_test

import (
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// TestTheTwelveMistakesAreFoundAtTheRightToken holds the comparison with other
// checkers: each finds at most twelve of these mistakes, and ten of them at the
// token that is wrong.
func TestTheTwelveMistakesAreFoundAtTheRightToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mistake, file, token string }{
		{"an unknown key", "12-01-unknown-key", "sumary"}, //nolint:misspell // the mistake
		{"a wrong type", "12-02-wrong-type", "users"},
		{"a missing required key", "12-03-missing-key", "summary"}, // the first token of the step that lacks it
		{"a duplicate id", "12-04-duplicate-id", "ready"},
		{"a cycle", "12-05-cycle", "last"},
		{"an unknown reference", "12-06-unknown-reference", "redy"},
		{"a bad duration", "12-07-bad-duration", "30"},
		{"an unknown task", "12-08-unknown-task", "postgres/bakup"},
		{"an unknown block", "12-09-unknown-block", "hooks"},
		{"a tab that indents", "12-10-tab", "\t"},
		{"a quote that is not closed", "12-11-unclosed-quote", `"`},
		{"a bad expression", "12-12-bad-expression", "faild"},
	} {
		_, diagnostics, err := plan.Load(filepath.Join("testdata", "bad", c.file+".yaml"), plantest.Tasks())
		if err != nil {
			t.Fatal(err)
		}
		if len(diagnostics) != 1 {
			t.Errorf("%s: %d findings", c.mistake, len(diagnostics))
			continue
		}
		d := diagnostics[0]
		line := []rune(d.Line)
		if got := string(line[d.Pos.Column-1 : min(len(line), d.Pos.Column-1+d.Width)]); got != c.token {
			t.Errorf("%s: found at %q, not at %q", c.mistake, got, c.token)
		}
	}
}
