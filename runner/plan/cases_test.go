package plan_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

var update = flag.Bool("update", false, "rewrite the expected output of the cases in testdata")

// cases returns the plans of a directory of testdata, and fails if there are
// fewer than least.
func cases(t *testing.T, dir string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < least {
		t.Fatalf("%d plans in testdata/%s, want at least %d", len(files), dir, least)
	}
	return files
}

// leaks are Go's names for things, and regular expressions: nothing that a
// person who writes a plan should have to know.
var leaks = regexp.MustCompile(`\b(int64|float64|struct|reflect|map\[|interface|time\.Duration|redact|task\.[A-Z]\w+|strconv|unmarshal|goroutine|yaml:|!!\w+ into)|\[a-z\]|\\w`)

func TestEveryMistakeIsReportedOnceAtItsToken(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t, "bad", 50) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			p, diagnostics, err := plan.Load(file, plantest.Tasks())
			if err != nil {
				t.Fatal(err)
			}
			if p != nil && diagnostics.HasErrors() || p == nil && !diagnostics.HasErrors() {
				t.Errorf("a plan and errors, or neither")
			}
			var got strings.Builder
			if _, err := diagnostics.WriteTo(&got); err != nil {
				t.Fatal(err)
			}
			for _, d := range diagnostics {
				if found := leaks.FindString(d.Message + " " + d.Hint); found != "" {
					t.Errorf("%s: the message leaks %q", d, found)
				}
			}
			compare(t, strings.TrimSuffix(file, ".yaml")+".out", got.String())
			if !strings.Contains(file, "several-") && len(diagnostics) != 1 {
				t.Errorf("%d findings for one mistake:\n%s", len(diagnostics), got.String())
			}
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAGoodPlanHasNoFindings(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t, "good", 3) {
		p, diagnostics, err := plan.Load(file, plantest.Tasks())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diagnostics {
			t.Error(d.Render())
		}
		if p == nil {
			t.Errorf("%s: no plan", file)
		}
	}
}

func TestEveryFindingHasAListedRule(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, rule := range plan.Rules() {
		if listed[rule.Name] || rule.Why == "" {
			t.Errorf("rule %s is listed twice, or says not why it is", rule.Name)
		}
		listed[rule.Name] = true
	}
	seen := map[string]bool{}
	for _, file := range cases(t, "bad", 50) {
		_, diagnostics, err := plan.Load(file, plantest.Tasks())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diagnostics {
			seen[d.Rule] = true
			if !listed[d.Rule] {
				t.Errorf("%s: the rule is not listed", d)
			}
		}
	}
	for rule := range listed {
		if !seen[rule] && rule != "too-large" && rule != "too-many" {
			t.Errorf("no case in testdata/bad shows rule %s", rule)
		}
	}
}
