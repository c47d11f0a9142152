package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

func (a *app) tasks() *cobra.Command {
	return &cobra.Command{
		Use:   "tasks [NAME]",
		Short: "List the tasks that a plan may use, or explain one",
		Long: `Tasks lists the tasks with what each may do to your systems; with a name it
prints that task's reference: its keys, their defaults, and its receipt.

Exit codes: 0 done; 2 there is no such task.`,
		Example:           "  phasegate tasks postgres/backup",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeTasks,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.explainTask(args[0])
			}
			for _, spec := range tasks.All().All() {
				fmt.Fprintf(a.Out, "%-22s %s\n", spec.Name, spec.Kind)
			}
			return nil
		},
	}
}

func (a *app) explainTask(name string) error {
	text, ok := docs.Task(name)
	if !ok {
		return fail(ExitUsage, task.Hint(fmt.Errorf("there is no task %s", name), "phasegate tasks lists them"))
	}
	fmt.Fprintln(a.Out, strings.TrimSpace(text))
	return nil
}

func completeTasks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, spec := range tasks.All().All() {
		names = append(names, spec.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
