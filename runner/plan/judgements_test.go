package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

func TestEveryFindingHasTheSeverityOfItsRule(t *testing.T) {
	t.Parallel()
	severity := map[string]plan.Severity{}
	for _, rule := range plan.Rules() {
		severity[rule.Name] = rule.Severity
	}
	for _, file := range cases(t, "bad", 230) {
		_, diagnostics, err := plan.Load(file, plantest.Tasks())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diagnostics {
			if d.Severity != severity[d.Rule] {
				t.Errorf("%s: the rule's severity is %s", d, severity[d.Rule])
			}
		}
	}
}

func TestACommentWithAReasonSilencesAWarning(t *testing.T) {
	t.Parallel()
	plain := "version: 1\nname: x\nphases:\n  - name: one\n    on_failure: rollback%s\n" +
		"    gates:\n      - { id: look, task: web/check, with: { url: \"a # phasegate:ignore b\" } }\n"
	for comment, left := range map[string]int{
		"": 1,
		" # phasegate:ignore nothing-to-take-back it is a test":                                        0,
		" #phasegate:ignore nothing-to-take-back it is a test":                                         0,
		" # phasegate:ignored nothing-to-take-back it is a test":                                       1,
		"\n    # phasegate:ignore nothing-to-take-back the next line is another":                       2,
		" # phasegate:ignore nothing-to-take-back once\n    # phasegate:ignore approval to no purpose": 1,
	} {
		_, diagnostics := plan.Parse("x.yaml", []byte(fmt.Sprintf(plain, comment)), plantest.Tasks())
		if len(diagnostics) != left {
			t.Errorf("%q: want %d findings, got %v", comment, left, diagnostics)
		}
	}
	above := strings.Replace(fmt.Sprintf(plain, ""), "    on_failure", "    # phasegate:ignore nothing-to-take-back the line below\n\n    # and more\n    on_failure", 1)
	if _, diagnostics := plan.Parse("x.yaml", []byte(above), plantest.Tasks()); len(diagnostics) > 0 {
		t.Errorf("above the line: got %v", diagnostics)
	}
}

func TestManyOutagesAreJudgedInLinearTime(t *testing.T) { // not parallel, so that the process's time is its own
	for name, service := range map[string]func(i int) string{
		"one service":   func(int) string { return "api" },
		"each its own":  func(i int) string { return fmt.Sprint("api-", i/2) },
		"never started": func(i int) string { return fmt.Sprint("api-", i) },
	} {
		// Eight times the steps take about eight times as long, and by a quadratic
		// rule 64 times: what else the machine does is far from making up for that.
		few, many := quickest(outages(1_000, service)), quickest(outages(8_000, service))
		if many > 32*few {
			t.Errorf("%s: 1,000 steps took %v, 8,000 took %v", name, few, many)
		}
	}
}

// quickest returns the least processor time of several with which a plan is parsed.
func quickest(src []byte) time.Duration {
	best := time.Hour
	for range 4 {
		start := used().cpu
		plan.Parse("many.yaml", src, plantest.Tasks())
		best = min(best, used().cpu-start)
	}
	return best
}

// outages is a plan whose steps stop and start services in turn.
func outages(steps int, service func(i int) string) []byte {
	var b bytes.Buffer
	b.WriteString("version: 1\nname: many\nprobes: [{ name: p, url: http://localhost/ }]\ncontacts: [{ role: a, reach: b1 }]\nphases:\n")
	for i := range steps {
		if i%5 == 0 {
			fmt.Fprintf(&b, "  - name: p%d\n    irreversible: a test\n    downtime: 5m\n    steps:\n", i/5)
		}
		fmt.Fprintf(&b, "      - { id: s%d, task: service/%s, with: { service: %s } }\n", i, []string{"stop", "start"}[i%2], service(i))
	}
	return b.Bytes()
}
