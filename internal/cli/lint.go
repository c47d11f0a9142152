package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/sqllint"
	"github.com/medlogistics/phasegate/runner/task"
)

// lintFlags are the flags of phasegate lint.
type lintFlags struct {
	after string
	json  bool
	rules bool
}

func (a *app) lint() *cobra.Command {
	var flags lintFlags
	cmd := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Say how migrations will go in production, as far as their text tells",
		Long: `Lint reads migrations, SQL files or directories of them, and prints what locks
the application out, rewrites tables, loses data or breaks programs, and what is
no statement at all, each with its place and what to do instead. It runs nothing
and asks no server; what a statement really does to a database, schema/rehearse
shows on a copy.

A finding that is meant is ignored in front of its statement, with the reason:
  -- phasegate:ignore RULE reason

Exit codes: 0 no errors; 1 there are errors; 2 a file cannot be read.`,
		Example: `  phasegate lint schema --after 20260101000000
  phasegate lint --rules`,
		RunE: func(_ *cobra.Command, paths []string) error {
			if flags.rules {
				return a.lintRules()
			}
			if len(paths) == 0 {
				return fail(ExitUsage, task.Hint(errors.New("no migrations are named"), "name SQL files, or directories of them"))
			}
			return a.lintPaths(paths, flags)
		},
	}
	cmd.Flags().StringVar(&flags.after, "after", "", "leave out files whose name begins with this version or an earlier one")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the findings as JSON, one a line")
	cmd.Flags().BoolVar(&flags.rules, "rules", false, "explain the rules instead")
	return cmd
}

func (a *app) lintRules() error {
	for _, rule := range sqllint.Rules() {
		fmt.Fprintf(a.Out, "%s (%s)\n  %s\n  instead: %s\n", rule.Name, rule.Level, rule.Reason, rule.Advice)
	}
	return nil
}

func (a *app) lintPaths(paths []string, flags lintFlags) error {
	files, err := migrations(paths)
	if err != nil {
		return fail(ExitUsage, err)
	}
	var linter sqllint.Linter
	counts := map[sqllint.Level]int{}
	looked := 0
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			return fail(ExitUsage, err)
		}
		version, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".sql"), "_")
		if version <= flags.after {
			linter.Skip(path, string(src))
			continue
		}
		looked++
		for _, found := range linter.File(path, string(src)) {
			counts[found.Level]++
			if err := a.printFinding(found, flags.json); err != nil {
				return fail(ExitFailed, err)
			}
		}
	}
	fmt.Fprintf(a.Err, "%s, %s in %s\n", plural(counts[sqllint.Error], "error"), plural(counts[sqllint.Warning], "warning"), plural(looked, "file"))
	if counts[sqllint.Error] > 0 {
		return fail(ExitFailed, nil)
	}
	return nil
}

func (a *app) printFinding(found sqllint.Finding, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.Out).Encode(found)
	}
	_, err := fmt.Fprintf(a.Out, "%s\n  instead: %s\n", found, found.Advice)
	return err
}

// migrations lists the files that the paths name, those of a directory in the
// order of their names.
func migrations(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
				err = fmt.Errorf("read %s: %w", path, pathErr.Err)
			}
			return nil, task.Hint(err, "name SQL files, or directories of them")
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, _ := filepath.Glob(filepath.Join(path, "*.sql"))
		if len(found) == 0 {
			return nil, task.Hint(fmt.Errorf("%s holds no file that ends in .sql", path), "name the directory of the migrations")
		}
		slices.Sort(found)
		files = append(files, found...)
	}
	return files, nil
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
