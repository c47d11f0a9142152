package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

func (a *app) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [RULE]",
		Short: "Say why validate reports something, with an example that breaks the rule and one that keeps it",
		Long: `Explain prints the page of a rule, by the name that stands in brackets behind a
finding. Without a name it lists the rules.

Exit codes: 0 done; 2 there is no such rule.`,
		Example: "  phasegate explain unknown-key",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return ruleNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, rule := range plan.Rules() {
					fmt.Fprintf(a.Out, "%-21s %-8s %s\n", rule.Name, rule.Severity, rule.Why)
				}
				return nil
			}
			name := strings.Trim(args[0], "[]")
			page, ok := docs.Rule(name)
			if !ok {
				return fail(ExitUsage, task.Hint(fmt.Errorf("there is no rule %s", name), ruleHint(name)))
			}
			fmt.Fprint(a.Out, page)
			return nil
		},
	}
}

func ruleNames() []string {
	var names []string
	for _, rule := range plan.Rules() {
		names = append(names, rule.Name)
	}
	return names
}

func ruleHint(name string) string {
	if near := plan.Closest(name, ruleNames()); near != "" {
		return "did you mean " + near + "?"
	}
	return "phasegate explain lists them"
}
