package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/runner/task"
)

// workflowFlags are what workflow may be told.
type workflowFlags struct {
	state, runner, version, out, after string
	oidc, check                        bool
}

func (a *app) workflow() *cobra.Command {
	flags := workflowFlags{state: ci.StatePostgres, runner: "ubuntu-latest", version: defaultVersion()}
	command := &cobra.Command{
		Use:   "workflow PLAN",
		Short: "Write the GitHub Actions workflow that drives a plan",
		Long: `Workflow writes the workflow for a plan, and the action that installs phasegate
if the repository has none. What lies between two approvals is one job, behind a
small one for each environment that has to be approved. A preview comes first;
the jobs behind an approval run only with the digest that it showed. Call it at
the repository's root.

State between jobs: postgres, the secret PHASEGATE_JOURNAL; directory, the
variable PHASEGATE_JOURNAL on one self-hosted runner; artifact, handed on from job
to job. docs/github-actions.md says which to choose.

Exit codes: 0 done, or up to date; 1 --check found the file stale; 2 wrong call;
3 the plan has errors.`,
		Example: `  phasegate workflow plans/auth0-migration.yaml
  phasegate workflow plans/auth0-migration.yaml --state directory --runner cutover
  phasegate workflow plans/auth0-migration.yaml --check`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.writeWorkflow(args[0], flags) },
	}
	set := command.Flags()
	set.StringVar(&flags.state, "state", flags.state, "where the journal is: postgres, directory or artifact")
	set.StringVar(&flags.runner, "runner", flags.runner, "label of the runners, or several in brackets")
	set.StringVar(&flags.version, "phasegate", flags.version, "what the jobs install: a release, source, or installed")
	set.StringVar(&flags.out, "out", "", "file to write (default .github/workflows/NAME.yml)")
	set.StringVar(&flags.after, "after", "", "the plan that a rehearsal carries out first")
	set.BoolVar(&flags.oidc, "oidc", false, "let the jobs ask for their identity token, and keep its claims")
	set.BoolVar(&flags.check, "check", false, "write nothing; fail if the file is stale")
	return command
}

// defaultVersion is this release, or the source where this is none.
func defaultVersion() string {
	if v := revision(); strings.HasPrefix(v, "v") && !strings.ContainsAny(v, "-+") {
		return v
	}
	return "source"
}

func (a *app) writeWorkflow(file string, flags workflowFlags) error {
	p, err := a.load(file)
	if err != nil {
		return err
	}
	where := filepath.ToSlash(filepath.Clean(file))
	w := ci.Workflow{
		Plan: p, Path: where, Command: flags.command(where), State: flags.state, Runner: flags.runner, Version: flags.version, OIDC: flags.oidc, After: flags.after,
	}
	text, err := w.Text()
	if err != nil {
		return fail(ExitUsage, err)
	}
	if flags.out == "" {
		flags.out = path.Join(".github", "workflows", p.Name+".yml")
	}
	if flags.check {
		return checkWorkflow(flags.out, text, w.Command)
	}
	if err := ci.Unattended(p); err != nil {
		fmt.Fprintf(a.Err, "warning: %v\n", err)
	}
	if err := writeNew(filepath.FromSlash(ci.ActionFile), ci.Action); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(ExitFailed, err)
	}
	if err := writeFile(flags.out, text); err != nil {
		return fail(ExitFailed, err)
	}
	fmt.Fprintf(a.Err, "wrote %s\n", flags.out)
	return nil
}

// command is how to write the same workflow again.
func (f workflowFlags) command(plan string) string {
	b := fmt.Sprintf("phasegate workflow %s --state %s --runner %s --phasegate %s", plan, f.state, inShell(f.runner), f.version)
	if f.after != "" {
		b += " --after " + f.after
	}
	if f.oidc {
		b += " --oidc"
	}
	if f.out != "" {
		b += " --out " + f.out
	}
	return b
}

// inShell is a word for a shell.
func inShell(word string) string {
	if strings.ContainsAny(word, " []") {
		return `"` + word + `"`
	}
	return word
}

func checkWorkflow(file, want, command string) error {
	committed, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(ExitFailed, fmt.Errorf("read the workflow: %w", err))
	}
	if string(committed) != want {
		return fail(ExitFailed, task.Hint(fmt.Errorf("%s is stale", file), command+" writes it"))
	}
	return nil
}

// writeFile replaces a file that everybody may read.
func writeFile(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// writeNew is writeFile where there is none.
func writeNew(file, text string) error {
	if _, err := os.Stat(file); err == nil {
		return fs.ErrExist
	}
	return writeFile(file, text)
}
