package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
)

func (a *app) rollback() *cobra.Command {
	var run, expected, ifStopped string
	var json bool
	command := &cobra.Command{
		Use:   "rollback PLAN",
		Short: "Take a run back, by the plan's rollback hooks",
		Long: `Rollback goes through the phases that started, last one first, and carries out
the rollback hooks that the plan has for each. It goes on after a failure and
says all of them at the end. Called again, it takes up the phases that are not back.

The run is the plan's newest that changed something, or the one that --run names.
Where the newest is back already, nothing is done: no call takes back more than one.
With --if-stopped it is the newest, and only if it was stopped: as-planned takes
it back where the plan has on_failure: rollback for the phase in which a signal, a
timeout or a death stopped it, always wherever it failed or stopped. A run that
waits, or is done, is left alone. That is for the last step of a job.

Exit codes: 0 everything is back; 2 wrong call, or nothing to roll back; 3 the
plan has errors; 6 incomplete, a person is needed; 130 interrupted, call again.`,
		Example: "  phasegate rollback plans/auth0-migration.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.loadExpected(cmd, args[0], expected)
			if err != nil {
				return err
			}
			leaner(p)
			options, err := a.bind(cmd.Context(), p)
			if err != nil {
				return err
			}
			options.Run = run
			if cmd.Flags().Changed("if-stopped") {
				return a.takeBackStopped(cmd.Context(), p, options, ifStopped, json)
			}
			return a.takeBack(cmd.Context(), p, options, json)
		},
	}
	command.Flags().StringVar(&run, "run", "", "take this run back instead of the plan's newest")
	command.Flags().StringVar(&expected, "expect-digest", "", expectHelp)
	command.Flags().StringVar(&ifStopped, "if-stopped", "", "as-planned or always: only if the run was stopped")
	command.Flags().BoolVar(&json, "json", false, "write the journal's events to standard output, one a line")
	_ = command.RegisterFlagCompletionFunc("run", a.completeRuns)
	return command
}

func (a *app) takeBack(ctx context.Context, p *plan.Plan, o runner.Options, json bool) error {
	err := a.carryOut(ctx, p, o, json, runner.Rollback)
	if ended, ok := errors.AsType[*exitError](err); ok && ended.code == ExitRolledBack {
		return nil // it is what was asked for
	}
	return err
}
