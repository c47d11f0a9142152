package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

// wide returns a document of so many keys.
func wide(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, "key-%d: v\n", i)
	}
	return b.String()
}

func anchors(n int) string {
	var b strings.Builder
	b.WriteString("a:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - &a%d x\n  - *a%d\n", i, i)
	}
	return b.String()
}

func tooManySteps() string {
	return "version: 1\nname: many\nphases:\n  - name: one\n    steps:\n" + strings.Repeat("      - { id: a, task: b }\n", plan.MaxSteps+1)
}

// conditions returns a plan of so many gates, each with a condition of 700 bytes.
func conditions(gates int) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: x\nphases:\n  - name: one\n    steps:\n      - { id: web, task: web/check, with: { url: x } }\n  - name: two\n    gates:\n")
	for i := range gates {
		fmt.Fprintf(&b, "      - { id: g%d, task: gate/assert, with: { that: '%s steps.web.was == \"%d\"' } }\n", i, strings.Repeat(`steps.web.was == "up" || `, 28), i)
	}
	return b.String()
}

// crowded returns a plan with phases of a hundred gates that compare the same fields, all
// different, so that each two of a phase could be held against each other.
func crowded(phases int) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: x\nenv: { UNUSED: { summary: nothing } }\nphases:\n  - name: one\n    steps:\n      - { id: db, task: postgres/ready, with: { dsn: x } }\n")
	for i := range phases {
		fmt.Fprintf(&b, "  - name: p%d\n    gates:\n", i)
		for k := range 100 {
			fmt.Fprintf(&b, "      - { id: g%d-%d, task: gate/assert, with: { that: 'steps.db.version != %d && steps.db.failed != %d && steps.db.success_rate != %d' } }\n", i, k, k, k, k)
		}
	}
	return b.String()
}

func TestNoInputTakesLong(t *testing.T) {
	t.Parallel()
	head := "version: 1\nname: x\nphases:\n  - name: one\n    steps:\n"
	var misspelled strings.Builder
	misspelled.WriteString(head)
	for i := range 10_000 {
		fmt.Fprintf(&misspelled, "      - { id: step-%d, task: web/check, with: { url: \"${{ steps.step%d.was }}\" } }\n", i, i)
	}
	for name, c := range map[string]struct{ src, message string }{
		"200,000 open brackets":        {strings.Repeat("[", 200_000), "nested more than 64 deep"},
		"100,000 dashes":               {strings.Repeat("- ", 100_000), "nested more than 64 deep"},
		"9,000 open brackets":          {strings.Repeat("[", 9000) + strings.Repeat("]", 9000), "nested more than 64 deep"},
		"50,000 keys":                  {wide(50_000), "unknown key"},
		"20,000 anchors and aliases":   {anchors(20_000), "unknown key"},
		"too many steps":               {tooManySteps(), "a plan has at most 20000 steps"},
		"a file that is too large":     {strings.Repeat("#", plan.MaxSize+1), "larger than 16 MiB"},
		"a million lists":              {"a: [" + strings.Repeat("[],", 1_000_000) + "]", "more values than a plan may have"},
		"10,000 misspelled references": {misspelled.String(), "there is no step"},
		"one line of 100,000 mistakes": {"{ é: 1, " + strings.Repeat("x: &a y, ", 100_000) + "}", "stands here a second time"},
		"references without an end":    {"version: 1\nname: x\nsummary: \"" + strings.Repeat("${{ ", 500_000) + "\"\nphases: []\n", "a reference works only inside with"},
		"a megabyte that is no YAML":   {strings.Repeat("a: 1\n", 200_000) + "b: [\n", "this bracket is not closed"},
		"a quote over a megabyte":      {"a: \"" + strings.Repeat("x\n  ", 250_000), "never closed"},
		"2,000 long conditions":        {conditions(2000), "a plan has at most 256 KiB of conditions in all"},
		"3,000 crowded gates":          {crowded(30), "UNUSED"},
		"comments":                     {strings.Repeat("# c\n\n", 500_000), "only comments"},
	} {
		took, findings := read(t, c.src)
		if !raced() && took.cpu > 2*time.Second {
			t.Errorf("%s: took %v", name, took.cpu)
		}
		if !raced() && took.peak > 110<<10 { // the bar is 100, and the collector's timing is worth some
			t.Errorf("%s: took %d MiB", name, took.peak>>10)
		}
		t.Logf("%-28s %8v %3d MiB, %s", name, took.cpu.Round(time.Millisecond), took.peak>>10, findings[len(findings)-1])
		if !strings.Contains(strings.Join(findings, "\n"), c.message) {
			t.Errorf("%s: want %q among %q", name, c.message, findings)
		}
	}
}

func TestABomIsNoPartOfThePlan(t *testing.T) {
	t.Parallel()
	src := "\uFEFFversion: 1\nname: x\nphases:\n  - name: one\n    gates:\n      - { id: web, task: web/check, with: { url: x } }\n"
	if p, diagnostics := plan.Parse("x.yaml", []byte(src), plantest.Tasks()); p == nil {
		t.Error(diagnostics)
	}
}

func TestCarriageReturnsBeforeNewlinesAreFine(t *testing.T) {
	t.Parallel()
	src := strings.ReplaceAll(chain, "\n", "\r\n")
	if p, diagnostics := plan.Parse("x.yaml", []byte(src), plantest.Tasks()); p == nil {
		t.Error(diagnostics)
	}
	broken := strings.Replace(src, "steps.dump.file", "steps.dump.fiel", 1)
	_, diagnostics := plan.Parse("x.yaml", []byte(broken), plantest.Tasks())
	if len(diagnostics) != 1 || diagnostics[0].Pos != (plan.Position{Line: 12, Column: 48}) || strings.Contains(diagnostics[0].Line, "\r") {
		t.Errorf("got %q", diagnostics)
	}
}

func TestFindingsBeyondAThousandAreCounted(t *testing.T) {
	t.Parallel()
	_, diagnostics := plan.Parse("x.yaml", []byte("version: 1\nname: x\nphases: []\n"+wide(3000)), plantest.Tasks())
	last := diagnostics[len(diagnostics)-1]
	if len(diagnostics) != 1001 || last.Rule != "too-many" || last.Severity != plan.Note {
		t.Errorf("got %d findings, the last %v", len(diagnostics), last)
	}
}
