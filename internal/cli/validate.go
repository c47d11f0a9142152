package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

// A validated is one plan with all that was found.
type validated struct {
	path     string
	plan     *plan.Plan // nil if it has errors
	findings plan.Diagnostics
}

// formats are the ways in which validate speaks.
func (a *app) formats() map[string]func([]validated) error {
	return map[string]func([]validated) error{
		"text": a.findingsAsText, "json": a.findingsAsJSON, "sarif": a.findingsAsSARIF, "github": a.findingsAsCommands,
	}
}

var formatNames = []string{"text", "json", "sarif", "github"}

func (a *app) validate() *cobra.Command {
	format := "text"
	command := &cobra.Command{
		Use:   "validate PLAN...",
		Short: "Say everything that is wrong with a plan, before anything runs",
		Long: `Validate reads each plan and every file that it names, and prints all findings
at once, each with its place, the line, and how to mend it. It runs nothing,
asks no server and needs no variable. phasegate explain RULE says why.

Formats: text, for people and problem matchers; json, one document as
docs/diagnostics.schema.json describes it; sarif, version 2.1.0, for code
scanning; github, annotations of a workflow's run.

Exit codes: 0 no errors; 2 a file cannot be read; 3 a plan has errors.`,
		Example: "  phasegate validate plans/*.yaml\n  phasegate validate --format sarif plans/*.yaml > phasegate.sarif",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, paths []string) error {
			write, ok := a.formats()[format]
			if !ok {
				return fail(ExitUsage, task.Hint(fmt.Errorf("there is no format %s", format), "write --format "+strings.Join(formatNames, ", or ")))
			}
			remove, err := a.unpackAside()
			if err != nil {
				return err
			}
			defer remove()
			return a.validateAll(paths, write)
		},
	}
	command.Flags().StringVar(&format, "format", format, strings.Join(formatNames, ", "))
	_ = command.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames, cobra.ShellCompDirectiveNoFileComp))
	return command
}

func (a *app) validateAll(paths []string, write func([]validated) error) error {
	var all []validated
	for _, path := range paths {
		path, err := a.unpack(path)
		if err != nil {
			return err
		}
		p, findings, err := plan.Load(path, tasks.All())
		if err != nil {
			return fail(ExitUsage, task.Hint(err, namePlan))
		}
		all = append(all, validated{path, p, findings})
	}
	if err := write(all); err != nil {
		return fail(ExitFailed, fmt.Errorf("write the findings: %w", err))
	}
	if slices.ContainsFunc(all, func(v validated) bool { return v.plan == nil }) {
		return fail(ExitInvalid, nil)
	}
	return nil
}

// steps is how many gates, steps and hooks a plan has.
func steps(p *plan.Plan) int {
	n := 0
	for i := range p.Phases {
		n += len(p.Phases[i].Gates) + len(p.Phases[i].Steps) + len(p.Phases[i].Rollback)
	}
	return n
}
