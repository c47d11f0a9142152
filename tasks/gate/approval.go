package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
)

// Approval opens when enough people who may have approved what is about to
// happen: by typing the agreed word at the terminal of the run, by signing with
// their SSH keys (phasegate approve), or by reviewing the GitHub environment that
// the job waits behind. An approval covers the plan, every
// file that it names, and the receipts of the phases before; when any of them
// changes, it counts no more. A rejection fails the run, whoever else approved.
// Where too few have spoken and nobody can be asked, the run ends waiting.
type Approval struct {
	Summary     string        `with:"summary"`           // what is about to happen and what to look at first, shown to whoever is asked
	Word        string        `with:"word"`              // the word that approves at a terminal; default approve
	Environment string        `with:"environment"`       // GitHub environment whose reviewers may approve where GitHub Actions drives the run
	More        []string      `with:"more_environments"` // further environments, each to be approved by another person
	Comment     bool          `with:"digest_in_comment"` // whether a reviewer's comment must have the first 12 digits of the plan's digest
	Signers     task.Path     `with:"signers"`           // OpenSSH allowed-signers file of those who may sign: the first principal of a line is the account, others are groups
	From        []string      `with:"from"`              // accounts and groups that may approve; default all, with signers all on that list
	Not         []string      `with:"not"`               // accounts and groups that may not; initiator is whoever began the run
	Min         int           `with:"min"`               // how many different people have to approve; default 1
	Expires     time.Duration `with:"expires"`           // how long an approval counts; default 24h
}

// Approved is what the people said, and who else may say something.
type Approved struct {
	Approved    bool                `json:"approved"`    // whether the gate is open
	Needed      int                 `json:"needed"`      // how many people have to approve
	By          []string            `json:"by"`          // the accounts whose approval counts
	At          string              `json:"at"`          // when the last of them approved, or was seen to have, RFC 3339 in UTC; "" before
	Decisions   []approval.Decision `json:"decisions"`   // all that was said and can be read, oldest first
	Ignored     []approval.Ignored  `json:"ignored"`     // what counts for nothing, and why
	May         []string            `json:"may"`         // accounts and groups that may approve; empty is whoever is at the terminal
	How         []string            `json:"how"`         // how to approve
	Environment string              `json:"environment"` // the environment, "" if the plan names none
}

// Files names the list of signers: the plan's digest covers it.
func (a *Approval) Files() []string {
	if a.Signers == "" {
		return nil
	}
	return []string{string(a.Signers)}
}

// Validate holds that the gate can open at all.
func (a *Approval) Validate() error {
	switch {
	case a.Word == reject || a.Word == "" || strings.ContainsFunc(a.Word, unicode.IsSpace):
		return task.Hint(fmt.Errorf("word is %q", a.Word), "choose a single word, such as approve")
	case a.Min < 1:
		return task.Hint(fmt.Errorf("min is %d", a.Min), "at least one person has to approve")
	case a.Expires <= 0:
		return task.Hint(fmt.Errorf("expires is %s", a.Expires), "give approvals the time that a run may take, such as 24h")
	case slices.Contains(a.From, approval.Initiator):
		return task.Hint(errors.New("from has initiator: whoever begins a run would approve it"), "initiator belongs under not")
	}
	return nil
}

// Check holds that the list of signers can be read, and that it has enough of
// them. Approvals are asked for when their turn comes.
func (a *Approval) Check(context.Context, *task.Env) error {
	if a.Signers == "" {
		return nil
	}
	signers, err := approval.ReadSigners(string(a.Signers))
	if err != nil {
		return err
	}
	rules := approval.Rules{Signers: signers, From: a.From}
	able := slices.DeleteFunc(signers.Names(), func(name string) bool { return rules.Bars(name) != "" })
	if len(able) < a.Min {
		return task.Hint(fmt.Errorf("%d have to approve, and only %d of the signers may", a.Min, len(able)),
			"mend from, min or the list of signers")
	}
	return nil
}

// Rules returns when the gate opens.
func (a *Approval) Rules(env *task.Env) (approval.Rules, error) {
	r := approval.Rules{Summary: a.Summary, From: a.From, Not: a.Not, Min: max(a.Min, len(a.Environments())), Expires: a.Expires, Initiator: env.Initiator}
	if a.Signers == "" {
		return r, nil
	}
	var err error
	r.Signers, err = approval.ReadSigners(string(a.Signers))
	return r, err
}

// Run weighs what was said, and asks whoever is at the terminal if that is not
// enough.
func (a *Approval) Run(ctx context.Context, env *task.Env) (Approved, error) {
	rules, err := a.Rules(env)
	if err != nil {
		return Approved{}, err
	}
	decisions, unread, err := said(env, rules.Signers)
	if err != nil {
		return Approved{}, err
	}
	reviews, void, err := a.reviewed(ctx, env, rules)
	if err != nil {
		return Approved{}, err
	}
	decisions, unread = append(decisions, reviews...), append(unread, void...)
	verdict := rules.Judge(decisions, env.Basis, time.Now())
	if !verdict.Open(rules) && couldAdd(env.Account, rules, verdict) {
		answer, err := ask(ctx, env, task.Question{Text: a.text(verdict, rules), Want: a.Word, No: reject})
		if err != nil && !errors.Is(err, task.ErrClosed) {
			return Approved{}, err
		}
		if err == nil {
			decisions = append(decisions, typed(answer, a.Word, env.Basis))
			verdict = rules.Judge(decisions, env.Basis, time.Now())
		}
	}
	return a.receipt(env, rules, decisions, verdict, unread), a.outcome(env, rules, verdict, unread)
}

// said returns the decisions so far: those typed, which the gate's own receipt
// has, and those signed, which the journal has. What cannot be read is ignored,
// with the reason.
func said(env *task.Env, signers approval.Signers) ([]approval.Decision, []approval.Ignored, error) {
	before, _, err := task.Saved[Approved](env)
	if err != nil {
		return nil, nil, err
	}
	var decisions []approval.Decision
	for _, d := range before.Decisions {
		if d.Via == approval.ViaTerminal {
			decisions = append(decisions, d)
		}
	}
	unread := []approval.Ignored{}
	for _, statement := range env.Statements {
		d, _, err := approval.Read(statement, signers)
		if err != nil {
			unread = append(unread, approval.Ignored{By: "unknown", Why: err.Error()})
			continue
		}
		decisions = append(decisions, d)
	}
	slices.SortStableFunc(decisions, func(a, b approval.Decision) int { return a.At.Compare(b.At) })
	return decisions, unread, nil
}

// couldAdd tells whether the account at the terminal has something to say that
// would count: an approval that is missing, or taking its own rejection back.
func couldAdd(account string, rules approval.Rules, verdict approval.Verdict) bool {
	if verdict.Rejection != nil && verdict.Rejection.By != account {
		return false
	}
	return !verdict.Has(account) && rules.Bars(account) == ""
}

func typed(answer task.Answer, word string, basis task.Basis) approval.Decision {
	return approval.Decision{
		Version: approval.Version, Approved: answer.Text == word, By: answer.By, Via: approval.ViaTerminal,
		At: time.Now().UTC().Truncate(time.Second), Covers: basis,
	}
}

// text is what is asked at the terminal.
func (a *Approval) text(verdict approval.Verdict, rules approval.Rules) string {
	text := a.Summary
	if text == "" {
		text = "The plan asks for an approval before it goes on."
	}
	if rules.Min > 1 {
		text += fmt.Sprintf("\n%d people have to approve; %d have.", rules.Min, len(verdict.Approvals))
	}
	return text
}
