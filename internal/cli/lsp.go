package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/internal/lsp"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks"
)

func (a *app) lsp() *cobra.Command {
	var ignored struct {
		stdio   bool
		process int
	}
	command := &cobra.Command{
		Use:   "lsp",
		Short: "Help an editor with plans: findings while you type, completion, documentation",
		Long: `Lsp is a language server for plans, which an editor starts: it speaks the
Language Server Protocol 3.17 on standard input and output. It tells what
validate would say after every keystroke, with a quick fix where a word was
misspelled; completes keys, tasks, references and the fields of receipts; shows
what each is; and goes to the step, the variable or the file that is named.

It reads the plans that the editor opens and the files that they name. It runs
nothing, asks no server and needs no variable.

Exit codes: 0 the editor said shutdown and exit; 1 it went away, or what it
sends cannot be read.`,
		Example: "  vim.lsp.config('phasegate', { cmd = { 'phasegate', 'lsp' }, filetypes = { 'yaml' } })",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.In == nil {
				return fail(ExitUsage, errors.New("there is no standard input to read from"))
			}
			language, err := docs.ReadLanguage()
			if err != nil {
				return fail(ExitFailed, err)
			}
			err = lsp.Serve(cmd.Context(), a.In, a.Out, lsp.Options{
				Tasks: tasks.All(), Language: language, Version: revision(), Log: a.log,
			})
			if err != nil {
				return fail(ExitFailed, task.Hint(fmt.Errorf("serve the editor: %w", err), "an editor starts this command; the README shows how to set it up"))
			}
			return nil
		},
	}
	// What editors add to every server's command line.
	command.Flags().BoolVar(&ignored.stdio, "stdio", true, "speak on standard input and output, the only way there is")
	command.Flags().IntVar(&ignored.process, "clientProcessId", 0, "the editor's process")
	_ = command.Flags().MarkHidden("clientProcessId")
	return command
}
