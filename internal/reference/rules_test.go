package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

// example is a plan, a part of one, or a command that writes one.
var example = regexp.MustCompile("(?s)\n```(yaml|sh)\n(.*?)\n```\n")

func TestEveryRuleHasAPageWhoseExamplesDoWhatItSays(t *testing.T) {
	t.Parallel()
	for _, rule := range plan.Rules() {
		page, ok := docs.Rule(rule.Name)
		if !ok {
			t.Errorf("docs/rules.md has no section %s", rule.Name)
			continue
		}
		severity := strings.ToUpper(string(rule.Severity[:1])) + string(rule.Severity[1:])
		if want := fmt.Sprintf("## %s\n\n%s: %s.\n\n", rule.Name, severity, rule.Why); !strings.HasPrefix(page, want) {
			t.Errorf("the section %s does not begin with %q", rule.Name, want)
		}
		examples := example.FindAllStringSubmatch(page, -1)
		if len(examples) != 2 {
			t.Errorf("the section %s has %d examples, not a bad and a good one", rule.Name, len(examples))
			continue
		}
		got := judged(t, examples[0])
		if rule.Name == "too-many" && len(got) == 1001 {
			got = got[1000:]
		}
		if len(got) != 1 || got[0].Rule != rule.Name {
			t.Errorf("the bad example of %s gives:\n%s", rule.Name, rendered(got))
		}
		if got := judged(t, examples[1]); len(got) != 0 {
			t.Errorf("the good example of %s gives:\n%s", rule.Name, rendered(got))
		}
	}
}

func TestEveryPageOfARuleIsOfARule(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, rule := range plan.Rules() {
		known[rule.Name] = true
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(documents(t)["docs/rules.md"], -1) {
		if !known[heading[1]] {
			t.Errorf("there is no rule %s", heading[1])
		}
	}
}

// judged validates an example, with what it leaves out around it, or what it
// writes.
func judged(t *testing.T, example []string) plan.Diagnostics {
	t.Helper()
	text := []byte(around(example[2]))
	if example[1] == "sh" {
		var err error
		if text, err = exec.CommandContext(t.Context(), "sh", "-c", example[2]).Output(); err != nil {
			t.Fatalf("%s: %v", example[2], err)
		}
	}
	_, findings := plan.Parse(filepath.Join(root, "docs", "example.yaml"), text, tasks.All())
	return findings
}

// around puts an example into the plan that it is a part of.
func around(text string) string {
	const look = "phases:\n  - name: look\n    steps:\n      - { id: look, task: host/disk, with: { path: \".\", min: 5GB } }\n"
	head := "version: 1\nname: example\n"
	switch {
	case strings.HasPrefix(text, "version:"), strings.HasPrefix(text, "#"):
		return text + "\n"
	case strings.HasPrefix(text, "- name:"):
		return head + "phases:\n" + indented(text, "  ")
	case strings.HasPrefix(text, "- "):
		return head + "phases:\n  - name: example\n    steps:\n" + indented(text, "      ")
	case !strings.Contains(text, "phases:"):
		return head + text + "\n" + look
	}
	return head + text + "\n"
}

func indented(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by) + "\n"
}

func rendered(findings plan.Diagnostics) string {
	var b strings.Builder
	for _, finding := range findings {
		b.WriteString(finding.Render())
	}
	return b.String()
}
