package cli

import (
	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
)

// sandboxAPI is the API of a rehearsal, a process of its own that service/*
// stops and starts.
func (a *app) sandboxAPI() *cobra.Command {
	return &cobra.Command{
		Use:    "sandbox-api",
		Short:  "Serve the API that a rehearsal stops and starts",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := medlogistics.APIFromEnv(a.lookup)
			if err != nil {
				return fail(ExitUsage, err)
			}
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			if err := api.Serve(ctx); err != nil {
				return fail(ExitFailed, err)
			}
			return nil
		},
	}
}

func (a *app) lookup(name string) (string, bool) { return a.Lookup.Lookup(name) }
