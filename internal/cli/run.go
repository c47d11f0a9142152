package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// runFlags are what run may be told.
type runFlags struct {
	phase, from, to, run, expected string
	dryRun, json                   bool
}

func (a *app) runCommand() *cobra.Command {
	var flags runFlags
	command := &cobra.Command{
		Use:   "run PLAN [--phase NAME | --from NAME --to NAME]",
		Short: "Carry out a plan, or go on with its open run",
		Long: `Run carries out the plan's phases in order, and journals each fact before it
goes on. If the plan's newest run was interrupted, failed or waits at a gate, it
goes on from there: what is done is not done again, gates are looked at again.
Where nobody is there to answer a gate, the run ends waiting; call it again.

SIGINT, SIGTERM and SIGHUP stop the run at its next safe point; a second one ends
what is at work, and the call, at once. After either, and after a crash, call it
again.

With --phase, --from or --to only those phases are carried out; it refuses to
start before the ones that they build on.

` + exitHelp,
		Example: `  phasegate run plans/auth0-migration.yaml --dry-run
  phasegate run plans/auth0-migration.yaml
  phasegate run plans/auth0-migration.yaml --phase backup --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.loadExpected(cmd, args[0], flags.expected)
			if err != nil {
				return err
			}
			leaner(p)
			return a.run(cmd.Context(), p, flags)
		},
	}
	set := command.Flags()
	set.StringVar(&flags.phase, "phase", "", "carry out this phase only")
	set.StringVar(&flags.from, "from", "", "carry out the phases from this one")
	set.StringVar(&flags.to, "to", "", "carry out the phases up to this one")
	set.StringVar(&flags.run, "run", "", "go on with this run instead of the plan's newest")
	set.StringVar(&flags.expected, "expect-digest", "", expectHelp)
	set.BoolVar(&flags.dryRun, "dry-run", false, "check every step in order, change nothing")
	set.BoolVar(&flags.json, "json", false, "write the journal's events to standard output, one a line")
	command.MarkFlagsMutuallyExclusive("phase", "from")
	command.MarkFlagsMutuallyExclusive("phase", "to")
	command.MarkFlagsMutuallyExclusive("dry-run", "json")
	for _, flag := range []string{"phase", "from", "to"} {
		_ = command.RegisterFlagCompletionFunc(flag, a.completePhases)
	}
	_ = command.RegisterFlagCompletionFunc("run", a.completeRuns)
	return command
}

func (a *app) run(ctx context.Context, p *plan.Plan, flags runFlags) error {
	options, err := a.bind(ctx, p)
	if err != nil {
		return err
	}
	options.Run, options.From, options.To = flags.run, flags.from, flags.to
	if flags.phase != "" {
		options.From, options.To = flags.phase, flags.phase
	}
	if flags.dryRun {
		ctx, stop := a.untilSignal(ctx)
		defer stop()
		return a.dryRun(ctx, p, options)
	}
	return a.carryOut(ctx, p, options, flags.json, runner.Run)
}

// carryOut shows a run or a rollback while it lasts, and how it ended.
func (a *app) carryOut(
	ctx context.Context, p *plan.Plan, o runner.Options, json bool,
	do func(context.Context, *plan.Plan, runner.Options) (*journal.State, error),
) error {
	forgetStart() // reading the plan was a part of it
	lines := func(journal.Event) {}
	if json {
		l := a.jsonLines()
		defer l.close() // the last of all: the run has been let go of, and a signal ends the call
		lines = l.observe
	}
	family := command.NewFamily()
	ctx, stop := a.headOf(ctx, family)
	defer stop()
	view := a.newView(p)
	defer view.close()
	o.Observe, o.Progress = both(lines, view.observe), view.progress
	if a.person != nil {
		o.Ask = view.ask
	}
	closeJob, err := a.inJob(ctx, p, &o)
	if err != nil {
		return err
	}
	unlock, err := a.alone(ctx, p, o, family)
	if err != nil {
		return err
	}
	defer unlock()
	state, err := do(ctx, p, o)
	closeJob(state)
	if err != nil {
		return told(state, err)
	}
	view.close()
	view.summary(state)
	view.proof(ctx, o.Store, state.Run)
	if code := exitCode(state); code != ExitDone {
		return fail(code, nil)
	}
	return nil
}

// told gives an engine's error its exit code: without a state nothing was begun.
func told(state *journal.State, err error) error {
	_, damaged := errors.AsType[*journal.DamagedError](err)
	mend := "make it writable"
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		mend = "make room on its disk"
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrNotExist):
		mend = "name a directory that can be made, with --journal or PHASEGATE_JOURNAL"
	}
	if !damaged && task.HintOf(err) == "" {
		err = task.Hint(err, "nothing is done that is not in the journal: "+mend+", then call again")
	}
	if state == nil {
		return fail(ExitUsage, err)
	}
	return fail(ExitFailed, err)
}

func (a *app) dryRun(ctx context.Context, p *plan.Plan, o runner.Options) error {
	failures, unknown := 0, 0
	err := runner.DryRun(ctx, p, o, func(c runner.Checked) {
		switch {
		case c.Err != nil:
			failures++
			fmt.Fprintf(a.Out, "no       %s/%s: %s\n", c.Phase, c.Step, o.Mask(c.Err.Error()))
			if hint := task.HintOf(c.Err); hint != "" {
				fmt.Fprintf(a.Out, "           hint: %s\n", hint)
			}
		case c.Unknown != "":
			unknown++
			fmt.Fprintf(a.Out, "unknown  %s/%s: %s\n", c.Phase, c.Step, c.Unknown)
		default:
			fmt.Fprintf(a.Out, "ok       %s/%s\n", c.Phase, c.Step)
		}
	})
	if err != nil {
		return told(nil, err)
	}
	fmt.Fprintf(a.Out, "dry run: %d would not succeed from here, %d cannot be known before the run; nothing was changed\n",
		failures, unknown)
	if failures > 0 {
		return fail(ExitFailed, nil)
	}
	return nil
}

// completePhases offers the phases of the plan that stands on the line.
func (a *app) completePhases(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	p, err := a.load(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, phase := range p.Phases {
		names = append(names, phase.Name+"\t"+strings.TrimSpace(phase.Summary))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeRuns offers the runs in the journal.
func (a *app) completeRuns(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if err := a.configure(cmd.Context()); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	store, err := a.store(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	runs, _ := store.Runs(cmd.Context())
	return runs, cobra.ShellCompDirectiveNoFileComp
}
