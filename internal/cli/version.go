package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/runner/journal"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of phasegate and of its journal's contract",
		Long:  "Version prints the version of phasegate and of its journal's contract.\n\nExit codes: 0 done.",
		Args:  cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(a.Out, "phasegate %s (journal %s, %s %s/%s)\n",
				revision(), journal.Contract, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
