package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
)

// findingsAsText writes the findings for people, with colours at a terminal.
func (a *app) findingsAsText(all []validated) error {
	var b strings.Builder
	for _, v := range all {
		for _, finding := range v.findings {
			b.WriteString(finding.Painted(a.findingPaint(finding.Severity)) + "\n")
		}
		b.WriteString(verdict(v) + "\n")
		if rules := rulesOf(v.findings); len(rules) > 0 {
			b.WriteString("phasegate explain RULE says why: " + strings.Join(rules, ", ") + "\n")
		}
	}
	_, err := a.Out.Write([]byte(b.String()))
	return err
}

// verdict is the line that ends the findings of a plan.
func verdict(v validated) string {
	text := v.path + ": "
	if v.plan != nil {
		text += fmt.Sprintf("valid, %d phases, %d steps, digest %.12s", len(v.plan.Phases), steps(v.plan), v.plan.Digest)
		if len(v.findings) == 0 {
			return text
		}
		return text + ", " + counted(v.findings)
	}
	return text + "invalid, " + counted(v.findings)
}

// counted says how many findings there are of each severity.
func counted(findings plan.Diagnostics) string {
	var parts []string
	for _, severity := range []plan.Severity{plan.Error, plan.Warning, plan.Note} {
		n := 0
		for _, finding := range findings {
			if finding.Severity == severity {
				n++
			}
		}
		switch n {
		case 0:
		case 1:
			parts = append(parts, fmt.Sprintf("1 %s", severity))
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, severity))
		}
	}
	return strings.Join(parts, ", ")
}

// rulesOf are the rules of the findings, each once, sorted.
func rulesOf(findings plan.Diagnostics) []string {
	var rules []string
	for _, finding := range findings {
		rules = append(rules, finding.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// findingPaint paints the parts of a finding where the output is a terminal.
func (a *app) findingPaint(severity plan.Severity) func(plan.Part, string) string {
	colour := map[plan.Severity]string{plan.Error: red, plan.Warning: yellow, plan.Note: green}[severity]
	style := map[plan.Part]string{plan.Place: bold, plan.Label: colour, plan.Margin: dim, plan.Caret: colour}
	return func(part plan.Part, text string) string {
		if !a.OutLive || a.NoColor != "" {
			return text
		}
		return styled(style[part], text)
	}
}
