package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

func (a *app) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate PLAN...",
		Short: "Say everything that is wrong with a plan, before anything runs",
		Long: `Validate reads each plan and every file that it names, and prints all findings
at once, each with its place, the line, and how to mend it. It runs nothing,
asks no server and needs no variable.

Exit codes: 0 no errors; 2 a file cannot be read; 3 a plan has errors.`,
		Example: "  phasegate validate plans/*.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, paths []string) error {
			remove, err := a.unpackAside()
			if err != nil {
				return err
			}
			defer remove()
			invalid := 0
			for _, path := range paths {
				ok, err := a.validateOne(path)
				if err != nil {
					return err
				}
				if !ok {
					invalid++
				}
			}
			if invalid > 0 {
				return fail(ExitInvalid, nil)
			}
			return nil
		},
	}
}

func (a *app) validateOne(path string) (bool, error) {
	path, err := a.unpack(path)
	if err != nil {
		return false, err
	}
	p, findings, err := plan.Load(path, tasks.All())
	if err != nil {
		return false, fail(ExitUsage, task.Hint(err, "name a plan file, or a plan that ships with phasegate: auth0-migration"))
	}
	if _, err := findings.WriteTo(a.Out); err != nil {
		return false, fail(ExitFailed, err)
	}
	if p == nil {
		return false, nil
	}
	steps := 0
	for _, phase := range p.Phases {
		steps += len(phase.Gates) + len(phase.Steps) + len(phase.Rollback)
	}
	fmt.Fprintf(a.Out, "%s: valid, %d phases, %d steps, digest %.12s\n", path, len(p.Phases), steps, p.Digest)
	return true, nil
}
