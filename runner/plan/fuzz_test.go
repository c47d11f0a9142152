package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// FuzzParse holds that no text makes Parse panic, and that every finding points
// into the file. The seeds are the cases of testdata.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(src) < 8<<10 {
				f.Add(src)
			}
		}
	}
	tasks := plantest.Tasks()
	f.Fuzz(func(t *testing.T, src []byte) {
		p, diagnostics := plan.Parse(filepath.Join("testdata", "good", "fuzz.yaml"), src, tasks)
		if (p == nil) != diagnostics.HasErrors() {
			t.Error("a plan and errors, or neither")
		}
		lines := strings.Split(strings.TrimPrefix(string(src), "\uFEFF"), "\n")
		for _, d := range diagnostics {
			if d.Pos.Line < 1 || d.Pos.Line > len(lines) {
				t.Fatalf("%s: the file has %d lines", d, len(lines))
			}
			characters := utf8.RuneCountInString(lines[d.Pos.Line-1])
			if d.Pos.Column < 1 || d.Pos.Column > characters+1 || d.Width < 1 {
				t.Errorf("%s, of width %d: the line has %d characters", d, d.Width, characters)
			}
			for _, r := range d.Related {
				if r.Pos.Line < 1 || r.Pos.Line > len(lines) {
					t.Errorf("%s: related to line %d of %d", d, r.Pos.Line, len(lines))
				}
			}
			if !utf8.ValidString(d.Render()) {
				t.Errorf("%q is not UTF-8", d.Render())
			}
		}
		if p == nil {
			return
		}
		for _, phase := range p.Phases {
			for _, steps := range [][]plan.Step{phase.Gates, phase.Steps, phase.Rollback} {
				for _, step := range steps {
					_, _ = step.Instance(plan.Values{Env: plan.Environ{}})
				}
			}
		}
		for _, probe := range p.Probes {
			_, _ = probe.Target(plan.Values{})
		}
	})
}
