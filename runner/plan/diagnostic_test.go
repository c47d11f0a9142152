package plan_test

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

func TestTheCaretStandsUnderTheToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, shown, caret string }{
		"plain":       {"a: bcd", "a: bcd", "   ^^^"},
		"after a tab": {"a:\tbcd", "a:    bcd", "      ^^^"},
		"non-ASCII":   {"é: bcd", "é: bcd", "   ^^^"},
		"unprintable": {"\x1b: bcd", "\uFFFD: bcd", "   ^^^"},
	} {
		column := len([]rune(c.line[:strings.Index(c.line, "bcd")])) + 1
		d := plan.Diagnostic{File: "f", Pos: plan.Position{Line: 7, Column: column}, Width: 3, Severity: plan.Error, Rule: "r", Message: "m", Line: c.line}
		want := "f:7:" + string(rune('0'+column)) + ": error: m [r]\n  |\n7 | " + c.shown + "\n  | " + c.caret + "\n"
		if got := d.Render(); got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestALongLineIsCutAroundTheToken(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 500) + "HERE" + strings.Repeat("y", 500)
	d := plan.Diagnostic{Pos: plan.Position{Line: 1, Column: 501}, Width: 4, Line: line}
	lines := strings.Split(d.Render(), "\n")
	start := strings.Index(lines[2], "HERE")
	if len(lines[2]) > 200 || start < 0 || strings.Index(lines[3], "^^^^") != start {
		t.Errorf("got\n%s", d.Render())
	}
}

func TestWarningsDoNotKeepAPlanFromBeingUsed(t *testing.T) {
	t.Parallel()
	src := strings.Replace(chain, "env: {", "env: { UNUSED: ,", 1)
	p, diagnostics := plan.Parse("x.yaml", []byte(src), plantest.Tasks())
	if p == nil || diagnostics.HasErrors() || len(diagnostics) != 1 || diagnostics.Errors() != nil || diagnostics[0].Severity != plan.Warning {
		t.Errorf("got %v", diagnostics)
	}
}
