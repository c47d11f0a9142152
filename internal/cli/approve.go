package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// decision is what approve or reject was called with.
type decision struct {
	run, gate string
	approved  bool
	reason    string
	plan, key string
	yes, json bool
}

func (a *app) approve() *cobra.Command {
	d := decision{approved: true}
	command := &cobra.Command{
		Use:   "approve RUN GATE",
		Short: "Approve what a run waits for, signed with your SSH key",
		Long: `Approve shows what the run is about to do and what it has found so far, and
signs with your SSH key that it may go on. The key is the one of your ssh-agent
that the plan lists among its signers, or the one that --key names.

The approval covers the plan, every file that it names, and the receipts of the
phases before. If any of them changes, the gate closes again and says what changed.

` + decisionExits,
		Example: `  phasegate approve 20261122-215118-000-3f9a approve-schema
  phasegate approve 20261122-215118-000-3f9a approve-schema --key ~/.ssh/id_ed25519 --yes`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.run, d.gate = args[0], args[1]
			return a.decide(cmd.Context(), d)
		},
	}
	d.flags(command)
	return command
}

func (a *app) reject() *cobra.Command {
	var d decision
	command := &cobra.Command{
		Use:   "reject RUN GATE --reason TEXT",
		Short: "Reject what a run waits for, signed with your SSH key",
		Long: `Reject signs with your SSH key that the run may not go on, and why. When the run
is taken up again, its phase fails, and goes on as the plan says for failures.
Whoever rejected can take it back by approving.

` + decisionExits,
		Example: `  phasegate reject 20261122-215118-000-3f9a approve-schema --reason "ward 7 is on paper until noon"`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.run, d.gate = args[0], args[1]
			if strings.TrimSpace(d.reason) == "" {
				return fail(ExitUsage, task.Hint(errors.New("a rejection needs its reason"),
					`give it with --reason "...": it is journalled, and shown to whoever goes on with the run`))
			}
			if err := approval.Impersonal(d.reason); err != nil {
				return fail(ExitUsage, err)
			}
			return a.decide(cmd.Context(), d)
		},
	}
	d.flags(command)
	command.Flags().StringVar(&d.reason, "reason", "", "why, in a sentence; no names, it is kept in the journal")
	return command
}

const decisionExits = `Exit codes: 0 it is signed and in the journal; 1 the journal cannot be written;
2 wrong call, or you may not; 3 the plan has errors.`

func (d *decision) flags(command *cobra.Command) {
	set := command.Flags()
	set.StringVar(&d.plan, "plan", "", "the plan's file, if it is not where the run had it")
	set.StringVar(&d.key, "key", "", "private key to sign with, or the .pub of one that your ssh-agent has")
	set.BoolVar(&d.yes, "yes", false, "sign without being asked")
	set.BoolVar(&d.json, "json", false, "write what was journalled to standard output")
}

// decide shows what is decided on, has it signed, and journals it.
func (a *app) decide(ctx context.Context, d decision) error {
	p, options, err := a.forDecision(ctx, d)
	if err != nil {
		return err
	}
	at, err := runner.WaitingAt(ctx, p, options, d.gate)
	if err != nil {
		return told(nil, err)
	}
	gate, ok := at.Instance.Config().(ruled)
	if !ok {
		return fail(ExitUsage, fmt.Errorf("gate %s is a %s, which takes no approvals", d.gate, at.Step.Task.Name))
	}
	rules, err := gate.Rules(at.Env)
	if err != nil {
		return fail(ExitUsage, err)
	}
	if len(rules.Signers) == 0 {
		return fail(ExitUsage, task.Hint(fmt.Errorf("gate %s takes no signatures: the plan names no signers for it", d.gate),
			"name the file of those who may sign under signers, or go on with the run at a terminal"))
	}
	key, signer, closeAgent, err := a.keyring(d).Key(ctx, rules.Signers)
	if err != nil {
		return fail(ExitUsage, err)
	}
	defer closeAgent()
	if !signer.Valid(time.Now()) {
		return fail(ExitUsage, task.Hint(fmt.Errorf("the key of %s is not valid now", signer.Name),
			"the list of signers says from when and until when it is"))
	}
	if why := rules.Bars(signer.Name); d.approved && why != "" {
		return fail(ExitUsage, errors.New(why))
	}
	a.showBasis(at, rules.Summary)
	if err := a.confirm(ctx, d, signer); err != nil {
		return err
	}
	return a.sign(ctx, p, options, d, at, key, signer)
}

// ruled is a gate that opens by approvals.
type ruled interface {
	Rules(env *task.Env) (approval.Rules, error)
}

// forDecision loads the plan that the run was begun with. The run's variables
// are not needed to decide on it.
func (a *app) forDecision(ctx context.Context, d decision) (*plan.Plan, runner.Options, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, runner.Options{}, err
	}
	path := d.plan
	if path == "" {
		states, err := a.states(ctx, []string{d.run})
		if err != nil {
			return nil, runner.Options{}, err
		}
		path = states[0].File
	}
	p, err := a.load(path)
	if errors.Is(err, fs.ErrNotExist) && d.plan == "" {
		err = fail(ExitUsage, task.Hint(fmt.Errorf("run %s had its plan at %s, which is not here: %w", d.run, path, err),
			"check out what the run works from, and name the plan's file with --plan"))
	}
	if err != nil {
		return nil, runner.Options{}, err
	}
	return p, runner.Options{
		Store: store, Dir: a.dir(), Run: d.run, Environ: p.Known(a.Lookup), Account: a.Account,
		Log: a.log, Version: revision(),
	}, nil
}

func (a *app) keyring(d decision) approval.Keyring {
	socket, _ := a.Lookup.Lookup("SSH_AUTH_SOCK")
	k := approval.Keyring{File: d.key, Agent: socket}
	if tty, ok := a.Person.(*os.File); ok {
		k.Passphrase = func(file string) ([]byte, error) {
			fmt.Fprintf(tty, "Passphrase of %s: ", file)
			defer fmt.Fprintln(tty)
			return term.ReadPassword(int(tty.Fd()))
		}
	}
	return k
}

// showBasis shows what the decision rests on.
func (a *app) showBasis(at *runner.Waiting, summary string) {
	b := at.Env.Basis
	began := at.State.Began.Local().Format("2006-01-02 15:04 MST")
	if at.State.Initiator != "" {
		began += ", by " + at.State.Initiator
	}
	fmt.Fprintf(a.Err, "run      %s of plan %s, begun %s\nplan     %s, digest %.12s\ngate     %s, opens phase %s\n",
		b.Run, b.Plan, began, at.State.File, b.Digest, b.Gate, b.Phase)
	if summary != "" {
		fmt.Fprintf(a.Err, "         %s\n", summary)
	}
	announce(a.Err, at.Phase)
	if len(b.Receipts) == 0 {
		fmt.Fprintln(a.Err, "Nothing has been done before it.")
		return
	}
	showReceipts(a.Err, at.State, slices.Sorted(maps.Keys(b.Receipts)))
}

// essence is a receipt on one line: its numbers, words and truths.
func essence(receipt json.RawMessage) string {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(receipt))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch value := fields[name].(type) {
		case map[string]any, []any, nil:
		default:
			parts = append(parts, fmt.Sprintf("%s %v", name, value))
		}
	}
	return strings.Join(parts, ", ")
}

// confirm asks whether to sign.
func (a *app) confirm(ctx context.Context, d decision, signer approval.Signer) error {
	word := "approve"
	if !d.approved {
		word = "reject"
	}
	if d.yes {
		return nil
	}
	if a.person == nil {
		return fail(ExitUsage, task.Hint(errors.New("nobody is there to ask whether to sign"), "look at the plan and the run, then add --yes"))
	}
	fmt.Fprintf(a.person.to, "\nType %q to sign as %s, anything else to leave it: ", word, signer.Name)
	line, err := a.person.read(ctx)
	if err != nil {
		return fail(ExitUsage, fmt.Errorf("read the answer: %w", err))
	}
	if strings.TrimSpace(line) != word {
		return fail(ExitUsage, errors.New("nothing was signed"))
	}
	return nil
}

// sign signs, journals, and says what the gate makes of it.
func (a *app) sign(
	ctx context.Context, p *plan.Plan, o runner.Options, d decision, at *runner.Waiting, key ssh.Signer, signer approval.Signer,
) error {
	said, err := approval.Sign(approval.Decision{
		Approved: d.approved, By: signer.Name, At: time.Now().UTC(), Reason: d.reason, Covers: at.Env.Basis,
	}, key)
	if err != nil {
		return fail(ExitUsage, err)
	}
	if d.json {
		lines := a.jsonLines()
		defer lines.close()
		o.Observe = lines.observe
	}
	if err := runner.Attest(ctx, p, o, d.gate, said); err != nil {
		return told(nil, err)
	}
	what := "approved"
	if !d.approved {
		what = "rejected"
	}
	fmt.Fprintf(a.Err, "\n%s: gate %s of run %s, as %s with key %s\n",
		what, d.gate, d.run, signer.Name, ssh.FingerprintSHA256(key.PublicKey()))
	return a.tellOutlook(ctx, p, o, d.gate, a.Err)
}

// tellOutlook says whether the gate would open now, and what is next.
func (a *app) tellOutlook(ctx context.Context, p *plan.Plan, o runner.Options, gate string, w io.Writer) error {
	at, err := runner.WaitingAt(ctx, p, o, gate)
	if err != nil {
		return told(nil, err)
	}
	if _, err = at.Instance.Run(ctx, at.Env); err != nil {
		fmt.Fprintf(w, "the gate stays closed: %s\n", strings.TrimSuffix(err.Error(), ": "+task.ErrClosed.Error()))
		if hint := task.HintOf(err); hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", hint)
		}
		if errors.Is(err, task.ErrClosed) {
			return nil
		}
	}
	fmt.Fprintf(w, "next: phasegate run %s --run %s\n", at.State.File, at.State.Run)
	return nil
}
