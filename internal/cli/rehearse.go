package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

func (a *app) rehearse() *cobra.Command {
	show, after, expected := show{users: 500}, "", ""
	command := &cobra.Command{
		Use:   "rehearse PLAN",
		Short: "Carry a plan out twice on a sandbox, the second time with a failure",
		Long: `Rehearse starts a throwaway PostgreSQL with MedLogistics' database as it is
before the cut-over, a tenant that behaves as Auth0 does, and the API, and runs
the plan on them twice: through to its end, and then with an account taken out
of the tenant behind the plan's back, which the plan has to notice, followed by
a rollback. At the end every table must equal the one before, row for row.
Approvals are given by the rehearsal itself. Nothing is left running, and of the
sandbox nothing is left lying about. When all of it held, the journals of both
runs are put where the plan's own are kept, marked as rehearsals, which is what
gate/rehearsed looks for.

A plan that comes after another one is rehearsed with --after: in each pass, that
other plan is carried out first, undisturbed, and everybody sets the password of
their account; the tables are compared with those of that moment.

A plan that names a service, a database or a tenant other than through
the variables that rehearse sets is refused.

Exit codes: 0 all of it held; 1 something did not; 2 wrong call, or a plan that
reaches outside the sandbox; 3 the plan has errors; 130 interrupted.`,
		Example: "  phasegate rehearse plans/auth0-migration.yaml --users 500\n" +
			"  phasegate rehearse plans/api-key-removal.yaml --after plans/auth0-migration.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if show.users < 1 {
				return fail(ExitUsage, task.Hint(fmt.Errorf("--users is %d", show.users), "seed at least one user"))
			}
			remove, err := a.unpackAside()
			if err != nil {
				return err
			}
			defer remove()
			if show.plan, err = a.loadExpected(cmd, args[0], expected); err != nil {
				return err
			}
			if show.after, err = a.loadNamed(after); err != nil {
				return err
			}
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			return a.rehearsePlan(ctx, show)
		},
	}
	command.Flags().StringVar(&after, "after", "", "a plan that is carried out on the sandbox first")
	command.Flags().IntVar(&show.users, "users", show.users, "how many users the sandbox's database has")
	command.Flags().StringVar(&expected, "expect-digest", "", expectHelp)
	return command
}

// A show is what is rehearsed, and on what.
type show struct {
	plan  *plan.Plan
	after *plan.Plan // carried out before, nil for none
	users int
}

func (a *app) rehearsePlan(ctx context.Context, show show) error {
	began := time.Now()
	store, err := a.store(ctx) // before anything else: without it the rehearsal would be for nothing
	if err != nil {
		return err
	}
	passes := []*pass{
		{title: "First pass: the whole plan"},
		{title: "Second pass: an account disappears from the tenant after the migration, then rollback", disturb: true},
	}
	for _, pass := range passes {
		fmt.Fprintf(a.Err, "\n%s\n", pass.title)
		if err := a.rehearseOnce(ctx, show, pass); err != nil {
			if ctx.Err() != nil {
				return fail(ExitInterrupted, errors.New("rehearsal interrupted; the sandbox is gone"))
			}
			if _, coded := errors.AsType[*exitError](err); coded {
				return err
			}
			a.printPasses(passes)
			return fail(ExitFailed, fmt.Errorf("rehearsal: %w", err))
		}
	}
	for _, pass := range passes {
		if err := leave(ctx, store, pass); err != nil {
			return fail(ExitFailed, err)
		}
	}
	a.printPasses(passes)
	fmt.Fprintf(a.Out, "\nThe rehearsal held, in %s. Nothing is left of the sandbox.\n", time.Since(began).Round(time.Second))
	return nil
}

// A pass is one run of the plan on a sandbox of its own, and what came of it.
type pass struct {
	title    string
	disturb  bool // take an account away after the migration, and roll back
	state    *journal.State
	accounts map[string]int // made in the tenant, by phase
	noticed  string         // what the plan said of the disturbance
	restored []pg.Table     // compared after the rollback
	lines    [][]byte       // of its journal
}

func (a *app) rehearseOnce(ctx context.Context, show show, pass *pass) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find phasegate's own program: %w", err)
	}
	fmt.Fprintf(a.Err, "  starting PostgreSQL, the tenant and the API with %d users\n", show.users)
	box, err := sandbox.Start(ctx, sandbox.Options{
		Users: show.users, Unmigratable: true, Self: self, Log: a.log,
		Balanced: show.plan.Wants("API_SERVICE_A"), Watched: show.plan.Wants("METRICS_URL"),
	})
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	if err := a.leadUp(ctx, show.after, box); err != nil {
		return err
	}
	before, err := contents(ctx, box)
	if err != nil {
		return err
	}
	stage := &rehearsal{app: a, plan: show.plan, box: box, pass: pass}
	if err := stage.run(ctx); err != nil {
		return err
	}
	if !pass.disturb {
		return nil
	}
	after, err := contents(ctx, box)
	if err != nil {
		return err
	}
	if differences := pg.Differences(before, after); len(differences) > 0 {
		return fmt.Errorf("the database is not as it was before:\n- %s", strings.Join(differences, "\n- "))
	}
	pass.restored = after
	return nil
}

// leadUp carries out the plan that comes before the one that is rehearsed, if
// there is one, and has people do what they do until then.
func (a *app) leadUp(ctx context.Context, before *plan.Plan, box *sandbox.Sandbox) error {
	if before == nil {
		return nil
	}
	fmt.Fprintf(a.Err, "  carrying out %s first\n", before.Name)
	if err := (&rehearsal{app: a, plan: before, box: box, pass: &pass{}}).run(ctx); err != nil {
		return fmt.Errorf("carry out %s first: %w", before.Name, err)
	}
	if err := box.SetPasswords(); err != nil {
		return err
	}
	return box.LetTimePass(ctx)
}

// A rehearsal is one pass at work.
type rehearsal struct {
	app  *app
	plan *plan.Plan
	box  *sandbox.Sandbox
	pass *pass

	mu        sync.Mutex
	accounts  int // in the tenant when the phase began
	disturbed bool
}

// run carries the plan out, and takes it back if the pass asks for it.
func (r *rehearsal) run(ctx context.Context) error {
	r.pass.accounts = map[string]int{}
	r.accounts = r.box.Accounts()
	around := *r.app
	around.Lookup = envconfig.MapLookuper(r.box.Env())
	around.settings.Journal, around.opened = filepath.Join(r.box.Dir(), "runs"), nil
	options, err := around.bind(ctx, r.plan)
	if err != nil {
		return err
	}
	if err := inside(r.plan, options.Environ, r.box.Env()); err != nil {
		return err
	}
	view := around.newView(r.plan)
	defer view.close()
	options.Rehearsal = true
	options.Observe, options.Progress, options.Ask = both(r.observe, view.observe), view.progress, r.answer
	state, err := runner.Run(ctx, r.plan, options)
	if err != nil {
		return err
	}
	r.pass.state = state
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	want := journal.Done
	if r.pass.disturb {
		if err := r.judge(state); err != nil {
			return err
		}
		if r.pass.state, err = runner.Rollback(ctx, r.plan, options); err != nil {
			return err
		}
		want = journal.RolledBack
	}
	if err := expect(r.pass.state, want); err != nil {
		return err
	}
	r.pass.lines, err = options.Store.Lines(ctx, state.Run)
	return err
}

// leave puts a pass's journal, byte for byte, where the plan's own are kept.
func leave(ctx context.Context, store journal.Store, pass *pass) error {
	run := pass.state.Run
	events, err := journal.Verify(run, pass.lines)
	if err != nil {
		return fmt.Errorf("keep the rehearsal's journal: %w", err)
	}
	writer, err := store.Create(ctx, run)
	if err != nil {
		return fmt.Errorf("keep the rehearsal's journal: %w", err)
	}
	_, err = writer.Append(ctx, events...)
	if err := errors.Join(err, writer.Close()); err != nil {
		return fmt.Errorf("keep the rehearsal's journal: %w", err)
	}
	kept, err := store.Lines(ctx, run)
	if err == nil && !slices.EqualFunc(kept, pass.lines, bytes.Equal) {
		err = errors.New("it is not as it was written")
	}
	if err != nil {
		return fmt.Errorf("keep the rehearsal's journal: %w", err)
	}
	return nil
}

// judge looks at how the disturbed run ended. A plan that makes no accounts has
// nothing to notice, and is taken back from its end.
func (r *rehearsal) judge(state *journal.State) error {
	if !r.disturbed {
		r.pass.noticed = "no account was made, so none could disappear"
		return expect(state, journal.Done)
	}
	r.pass.noticed = state.Reason
	if err := expect(state, journal.Failed); err != nil {
		return fmt.Errorf("the plan did not notice that an account is missing: %w", err)
	}
	return nil
}

func expect(state *journal.State, want journal.Status) error {
	if state.Status == want {
		return nil
	}
	return task.Hint(fmt.Errorf("run ended %s, not %s: %s", state.Status, want, state.Reason), state.Hint)
}

// observe counts the accounts that each phase made, and disturbs the tenant
// after the phase that made the most of them.
func (r *rehearsal) observe(e journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Type != journal.PhaseFinished || e.Kind == journal.KindRollback {
		return
	}
	now := r.box.Accounts()
	made := now - r.accounts
	r.accounts = now
	if made > 0 {
		r.pass.accounts[e.Phase] = made
	}
	if r.pass.disturb && made > 0 && !r.disturbed {
		r.disturbed = true
		r.box.LoseAccount()
		r.accounts--
	}
}

// answer says yes to every gate: there are no patients in a sandbox.
func (r *rehearsal) answer(_ context.Context, _ runner.Place, q task.Question) (task.Answer, error) {
	return task.Answer{Text: q.Want, By: "rehearsal"}, nil
}

// contents reads every table of the sandbox's database.
func contents(ctx context.Context, box *sandbox.Sandbox) ([]pg.Table, error) {
	conn, err := pg.Connect(ctx, box.DatabaseURL())
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tables, err := pg.Contents(ctx, conn)
	return slices.DeleteFunc(tables, func(t pg.Table) bool { return t.Schema == revisions }), err
}

// revisions is where schema/apply and schema/revert keep what they did. It is
// not the application's, and stays where the schema is reverted in place.
const revisions = "atlas_schema_revisions"
