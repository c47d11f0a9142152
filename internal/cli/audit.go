package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/evidence"
	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

type auditFlags struct {
	plan, export, expect string
	json                 bool
}

func (a *app) audit() *cobra.Command {
	var flags auditFlags
	command := &cobra.Command{
		Use:   "audit RUN|BUNDLE",
		Short: "Verify what a run left behind, or pack it as evidence",
		Long: `Audit holds a run's journal, its plan and the files that its receipts name
against each other: every event is tied to the bytes of the one before, the plan
and its files have the digest with which the run began, and the files hash to
what the receipts say. It says what fits, what does not, and what could not be
seen: a file that is not there is missing, not false.

A run that ends prints the SHA-256 of its journal's last event. Noted where the
run's machine cannot write, such as a ticket or a CI log, it lets --expect show
that nothing up to that event was altered or cut off since.

With --export it also writes all of that into one file, a bundle, which audit
verifies on any machine with nothing else there. A backup's data is not in it,
its metadata is. BUNDLE is a path with a dot or a slash in it.

Exit codes: 0 nothing differs; 1 something does not fit, or cannot be read; 2
wrong call, or no such run or bundle; 130 interrupted.`,
		Example: `  phasegate audit 20261122-215118-042-3f9a
  phasegate audit 20261122-215118-042-3f9a --export evidence.zip
  phasegate audit evidence.zip --json
  phasegate audit evidence.zip --expect 9adea4c8a5e14bce9d6e8b0fd7f8b3810041646c0b03d5852c1896f6d9505059`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			err := a.auditOne(ctx, args[0], flags)
			if errors.Is(err, errInterrupted) {
				return fail(ExitInterrupted, errInterrupted)
			}
			return err
		},
	}
	command.Flags().StringVar(&flags.plan, "plan", "", "the plan's file, if it is not where the journal says")
	command.Flags().StringVar(&flags.export, "export", "", "write the evidence to this new file, with mode 0600")
	command.Flags().StringVar(&flags.expect, "expect", "", "SHA-256 that was noted of an event, or of a bundle, which must be there")
	command.Flags().BoolVar(&flags.json, "json", false, "write the findings as JSON to standard output")
	return command
}

// sha256Hex is how a SHA-256 is written.
var sha256Hex = pattern.Lazy(`^[0-9a-f]{64}$`)

func (a *app) auditOne(ctx context.Context, name string, flags auditFlags) error {
	if flags.expect != "" && !sha256Hex().MatchString(flags.expect) {
		return fail(ExitUsage, task.Hint(fmt.Errorf("--expect is %q, not a SHA-256", flags.expect),
			"give its 64 hexadecimal digits, as the run's end or audit printed them"))
	}
	if journal.ValidRun(name) {
		return a.auditRun(ctx, name, flags)
	}
	if flags.plan != "" || flags.export != "" {
		return fail(ExitUsage, fmt.Errorf("%s is a bundle: it holds its plan, and is exported already", name))
	}
	bundle, err := evidence.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ExitUsage, task.Hint(err, "name a run, as phasegate status lists them, or the path of a bundle"))
	}
	if err != nil {
		return fail(ExitFailed, err)
	}
	defer bundle.Close()
	report, err := bundle.Look(ctx, flags.expect)
	if err != nil {
		return fail(ExitFailed, err)
	}
	return a.printReport(report, flags.json)
}

func (a *app) auditRun(ctx context.Context, run string, flags auditFlags) error {
	record, err := a.record(ctx, run)
	if err != nil {
		return err
	}
	record.Expect = flags.expect
	var p *plan.Plan
	if p, record.Plan, err = a.planOf(record, flags.plan); err != nil {
		return err
	}
	report, err := evidence.Look(ctx, record)
	if err != nil {
		return fail(ExitFailed, err)
	}
	switch {
	case flags.export == "":
	case !report.Fits:
		fmt.Fprintf(a.Err, "%s not written: evidence is exported when nothing differs\n", flags.export)
	default:
		if err := a.export(ctx, flags.export, record, p, report); err != nil {
			return err
		}
	}
	return a.printReport(report, flags.json)
}

// record collects what is left of a run.
func (a *app) record(ctx context.Context, run string) (evidence.Record, error) {
	record := evidence.Record{Run: run, Files: evidence.Disk{Run: run, Dir: filepath.Join(a.dir(), run)}}
	store, err := a.store(ctx)
	if err != nil {
		return record, err
	}
	record.Lines, err = store.Lines(ctx, run)
	if err == nil && len(record.Lines) == 0 {
		err = fmt.Errorf("run %s: %w", run, journal.ErrNotFound)
	}
	if errors.Is(err, journal.ErrNotFound) {
		return record, fail(ExitUsage, task.Hint(err, "phasegate status lists the runs; a bundle is named by its path, such as ./"+run))
	}
	if err != nil {
		return record, fail(ExitFailed, err)
	}
	_, record.End.Kept = store.(*journal.Postgres)
	if _, err := store.Read(ctx, run); err != nil {
		if _, ok := errors.AsType[*journal.DamagedError](err); !ok {
			return record, fail(ExitFailed, err)
		}
		record.End.Damage = err
	}
	if record.End.Held, err = store.Held(ctx, run); err != nil {
		return record, fail(ExitFailed, err)
	}
	return record, nil
}

// planOf reads the plan at path, or at the place that the journal names.
func (a *app) planOf(record evidence.Record, path string) (*plan.Plan, evidence.Plan, error) {
	named := path != ""
	if named {
		var err error
		if path, err = a.unpack(path); err != nil {
			return nil, evidence.Plan{}, err
		}
	} else {
		events, _ := journal.Verify(record.Run, record.Lines)
		state := journal.Fold(events)
		if state == nil {
			return nil, evidence.Plan{}, nil // the chain's first event says it all
		}
		path = state.File
	}
	found := evidence.Plan{Path: path}
	p, findings, err := plan.Load(path, tasks.All())
	switch {
	case err != nil && named:
		return nil, found, fail(ExitUsage, err)
	case err != nil:
		found.Absent = err
	case p == nil:
		found.Broken = errors.New(findings.Errors()[0].Message)
	default:
		found.Digest, found.Files, found.Lists = p.Digest, p.Sums(), evidence.ListsOf(p)
	}
	return p, found, nil
}

// export writes the bundle and notes its hash in the report.
func (a *app) export(ctx context.Context, to string, record evidence.Record, p *plan.Plan, report *evidence.Report) error {
	if p == nil {
		return fail(ExitFailed, task.Hint(
			fmt.Errorf("export run %s: its plan is not at %s", record.Run, record.Plan.Path), "name its file with --plan"))
	}
	packed, err := evidence.Pack(ctx, to, record, p, revision())
	if errors.Is(err, fs.ErrExist) {
		return fail(ExitUsage, task.Hint(err, "evidence is never overwritten: name a new file"))
	}
	if err != nil {
		return fail(ExitFailed, err)
	}
	report.Bundle = packed.Bundle
	fmt.Fprintf(a.Err, "%s written, SHA-256 %s\n", to, packed.Bundle)
	return nil
}

// printReport prints what was found. Whatever differs is the exit code.
func (a *app) printReport(r *evidence.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(a.Out).Encode(r); err != nil {
			return fail(ExitFailed, fmt.Errorf("print the findings: %w", err))
		}
	} else if err := a.printFindings(r); err != nil {
		return fail(ExitFailed, fmt.Errorf("print the findings: %w", err))
	}
	first := r.First()
	if first == nil {
		return nil
	}
	if asJSON {
		return fail(ExitFailed, nil)
	}
	return fail(ExitFailed, unfit(r, first))
}

// unfit says what does not fit first, and what that means for the rest.
func unfit(r *evidence.Report, first *evidence.Finding) error {
	switch first.What {
	case "journal":
		return task.Hint(fmt.Errorf("the first event that does not fit is event %d: journal: %s", first.Event, first.Detail),
			believed(first.Event)+"; compare with an exported bundle or another copy of the journal")
	case "expected":
		return task.Hint(fmt.Errorf("the journal does not have what was noted of it: %s", first.Detail),
			"look for the missing events in an exported bundle or another copy of the journal")
	case "plan":
		return task.Hint(fmt.Errorf("the first event that does not fit is event %d: plan: %s", first.Event, first.Detail),
			"put the plan and its files back as they were, or name them with --plan")
	case "file":
		return task.Hint(fmt.Errorf("the first event that does not fit is event %d: file %s of step %s: %s",
			first.Event, first.Path, first.Step, first.Detail),
			"rely on that file no more: it is not what the step left")
	}
	if first.Event > 0 {
		return fmt.Errorf("the first event that does not fit is event %d: %s: %s", first.Event, first.What, first.Detail)
	}
	return fmt.Errorf("the %s of %s does not fit: %s", first.What, r.Run, first.Detail)
}

// believed says what is left of a journal in which event n does not fit. Nothing
// vouches for the event before it, which may be the altered one.
func believed(n int64) string {
	switch n {
	case 0, 1, 2:
		return "nothing in it is proven"
	case 3:
		return "event 1 is as it was written, and nothing after it is proven"
	}
	return fmt.Sprintf("events 1 to %d are as they were written, and nothing after them is proven", n-2)
}

func (a *app) printFindings(r *evidence.Report) error {
	what := "run"
	if r.Rehearsal {
		what = "rehearsal"
	}
	status := string(r.Status)
	if r.Findings[0].Result == evidence.Differs { // the journal's own
		status = fmt.Sprintf("%s as far as event %d tells", status, r.Events)
	}
	fmt.Fprintf(a.Out, "%s %s of plan %s, %s\n\n", what, r.Run, r.Plan, status)
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		subject := f.What
		if f.Step != "" {
			subject += " of " + f.Step
		}
		if f.Path != "" {
			subject += " " + f.Path
		}
		at := ""
		if f.Event > 0 {
			at = fmt.Sprintf("event %d", f.Event)
		}
		fmt.Fprintf(table, "%s\t%s\t%s: %s\n", f.Result, at, subject, f.Detail)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Out, "\n%d fit, %d differ, %d are missing, %d are there without proof\n",
		r.Count(evidence.Fits), r.Count(evidence.Differs), r.Count(evidence.Missing), r.Count(evidence.Unproven))
	return err
}
