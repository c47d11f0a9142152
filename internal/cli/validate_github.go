package cli

import (
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
)

// GitHub shows ten annotations of each kind a step, and 4,096 characters of each:
// actions/runner, ExecutionContext.cs.
const (
	mostAnnotations  = 10
	longestOfCommand = 4096
)

// findingsAsCommands writes the findings as workflow commands, which GitHub shows
// as annotations. What would be the tenth of a kind, if there are more, says how
// many.
func (a *app) findingsAsCommands(all []validated) error {
	command := map[plan.Severity]string{plan.Error: "error", plan.Warning: "warning", plan.Note: "notice"}
	total, written := map[plan.Severity]int{}, map[plan.Severity]int{}
	for _, v := range all {
		for _, finding := range v.findings {
			total[finding.Severity]++
		}
	}
	var b strings.Builder // goes past the guard of a job's log, and is escaped here
	for _, v := range all {
		for _, d := range v.findings {
			if n := written[d.Severity]; n == mostAnnotations-1 && total[d.Severity] > mostAnnotations {
				continue
			}
			written[d.Severity]++
			fmt.Fprintf(&b, "::%s file=%s,line=%d,endLine=%d,col=%d,endColumn=%d,title=%s::%s\n", command[d.Severity],
				property(d.File), d.Pos.Line, d.Pos.Line, d.Pos.Column, d.Pos.Column+d.Width-1, property(d.Rule), data(advised(d)))
		}
	}
	for _, severity := range []plan.Severity{plan.Error, plan.Warning, plan.Note} {
		if more := total[severity] - written[severity]; more > 0 {
			fmt.Fprintf(&b, "::%s title=phasegate::and %d more: phasegate validate shows them all\n", command[severity], more)
		}
	}
	for _, v := range all {
		b.WriteString(harmless(verdict(v)) + "\n")
	}
	_, err := a.commands().Write([]byte(b.String()))
	return err
}

// data escapes the message of a command: actions/runner, ActionCommand.cs.
func data(text string) string {
	if runes := []rune(text); len(runes) > longestOfCommand {
		text = string(runes[:longestOfCommand])
	}
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "# #[").Replace(text)
}

// property escapes a property of a command.
func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "# #[", ":", "%3A", ",", "%2C").Replace(text)
}

// harmless keeps a plain line from being read as a command: one begins with ::,
// or holds ##[ anywhere.
func harmless(line string) string {
	line = strings.NewReplacer("\n", " ", "\r", " ", "##[", "# #[").Replace(line)
	if strings.HasPrefix(strings.TrimLeft(line, " \t"), "::") {
		return "./" + line
	}
	return line
}
