package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner/task"
)

// An emulator is a call of the verb.
type emulator struct {
	listen, listenHTTP string
	domain             string
	caOut              string
	seed               string
	limits             string
	fixedWindow        bool
}

// emulatorReady is the line that the verb prints when the tenant can be asked.
type emulatorReady struct {
	Domain       string `json:"domain"`            // what an SDK takes for the tenant's domain
	URL          string `json:"url"`               // over TLS
	HTTPURL      string `json:"http_url"`          // over plain HTTP
	CAFile       string `json:"ca_file,omitempty"` // what to trust, where --ca-out named a file
	ClientID     string `json:"client_id"`         // of an application with a grant for the Management API
	ClientSecret string `json:"client_secret"`
}

func (a *app) auth0Emulator() *cobra.Command {
	var e emulator
	cmd := &cobra.Command{
		Use:   "auth0-emulator",
		Short: "Serve an Auth0 tenant in memory, for tests of programs that call one",
		Long: `Auth0-emulator serves an Auth0 tenant: the Management API v2 for users, roles,
jobs, applications, APIs, connections and Actions, and the token endpoint, with
rate limits, jobs and search as the real service has them. Its state is in memory.
When it can be asked it prints one line of JSON with its addresses and the
credentials of a management application. It ends with SIGINT or SIGTERM.

Under /emulator/ a test can put in faults, change limits and timing, and read,
replace or reset the state: docs/auth0-emulator.md. Whoever reaches the address
reaches that too.

Exit codes: 0 ended by a signal, 1 it cannot listen or serve, 2 wrong call or seed.`,
		Example: `  phasegate auth0-emulator --ca-out ca.pem
  phasegate auth0-emulator --seed docs/auth0-emulator.seed.json --limits free
  SSL_CERT_FILE=ca.pem AUTH0_DOMAIN=localhost:8443 ./your-tests`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			return a.emulate(ctx, e)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.listen, "listen", "127.0.0.1:0", "address for TLS; port 0 is any that is free")
	f.StringVar(&e.listenHTTP, "listen-http", "127.0.0.1:0", "address for plain HTTP")
	f.StringVar(&e.domain, "domain", "", "the tenant's domain, in tokens and links (default the address for TLS)")
	f.StringVar(&e.caOut, "ca-out", "", "file to write the certificate to that clients have to trust, in PEM")
	f.StringVar(&e.seed, "seed", "", "JSON file of what the tenant holds (default an empty tenant)")
	f.StringVar(&e.limits, "limits", auth0.Unlimited.String(), "rate limits of a plan: "+strings.Join(auth0.PlanNames(), ", "))
	f.BoolVar(&e.fixedWindow, "fixed-window", false, "refill limits at the top of each second or minute, not a little at a time")
	return cmd
}

// emulate serves the tenant until ctx ends.
func (a *app) emulate(ctx context.Context, e emulator) error {
	tenant, err := e.tenant()
	if err != nil {
		return fail(ExitUsage, err)
	}
	secure, err := tenant.StartTLS(e.caOut, e.listen)
	if err != nil {
		return fail(ExitFailed, task.Hint(err, "choose another address with --listen, or another file with --ca-out"))
	}
	defer secure.Close()
	plain, err := tenant.StartPlain(e.listenHTTP)
	if err != nil {
		return fail(ExitFailed, task.Hint(err, "choose another address with --listen-http"))
	}
	id, secret := tenant.ManagementClient()
	ready := emulatorReady{tenant.Domain(), secure.URL, plain.URL, e.caOut, id, secret}
	if err := json.NewEncoder(a.Out).Encode(ready); err != nil {
		return fail(ExitFailed, errors.Join(fmt.Errorf("say that the tenant is ready: %w", err), plain.Close()))
	}
	<-ctx.Done()
	if err := errors.Join(secure.Close(), plain.Close()); err != nil {
		return fail(ExitFailed, err)
	}
	return nil
}

// tenant makes the tenant that the flags describe.
func (e emulator) tenant() (*auth0.Tenant, error) {
	var plan auth0.Plan
	if err := plan.UnmarshalText([]byte(e.limits)); err != nil {
		return nil, task.Hint(fmt.Errorf("--limits: %w", err), "leave it out for a tenant without limits")
	}
	limits := plan.Limits()
	limits.FixedWindow = e.fixedWindow
	config := auth0.Config{Limits: &limits, Domain: e.domain, Control: true}
	if e.seed != "" {
		file, err := os.Open(e.seed)
		if err != nil {
			return nil, fmt.Errorf("--seed: %w", err)
		}
		defer file.Close()
		if config.Seed, err = auth0.ReadSeed(file); err != nil {
			return nil, task.Hint(fmt.Errorf("--seed %s: %w", e.seed, err), "docs/auth0-emulator.md describes the file")
		}
	}
	tenant, err := auth0.OpenTenant(config)
	if err != nil {
		return nil, task.Hint(fmt.Errorf("--seed %s: %w", e.seed, err), "docs/auth0-emulator.md describes the file")
	}
	return tenant, nil
}
