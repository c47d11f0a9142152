package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
// Where an environment is named and no list of signers, a gate that asks for
// several people, or bars some, counts reviews only: an account at a terminal
// could be the same person's as one at GitHub.
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
	Decisions   []approval.Decision `json:"decisions"`   // all that was said and can be read, as it was heard
	Ignored     []approval.Ignored  `json:"ignored"`     // what counts for nothing, and why
	May         []string            `json:"may"`         // accounts and groups that may approve; empty is whoever is at the terminal
	How         []string            `json:"how"`         // how to approve
	Command     string              `json:"command"`     // that signs an approval, "" if the plan names no signers
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
	case slices.ContainsFunc(a.From, initiator):
		return task.Hint(errors.New("from has initiator: whoever begins a run would approve it"), "initiator belongs under not")
	case a.unlisted() && a.Min > len(a.Environments()):
		return task.Hint(fmt.Errorf("min is %d, and without a list of signers %d can approve: one person an environment", a.Min, len(a.Environments())),
			"name the list of those who may approve under signers, or further environments under more_environments")
	case a.unlisted() && slices.ContainsFunc(a.Not, initiator):
		return task.Hint(errors.New("not has initiator, and the gate takes reviews without a list of signers: "+
			"whoever began the run at a terminal has another account at GitHub"),
			"name the list of those who may approve under signers; a review by whoever started the workflow never counts")
	}
	return nil
}

func initiator(who string) bool { return approval.Same(who, approval.Initiator) }

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
	if env.Rehearsing { // which says yes to everything: there are no patients in a sandbox
		return approval.Rules{Summary: a.Summary, Min: 1, Expires: a.Expires}, nil
	}
	r := approval.Rules{Summary: a.Summary, From: a.From, Not: a.Not, Min: max(a.Min, len(a.Environments())), Expires: a.Expires, Initiator: env.Initiator}
	if a.unlisted() && (r.Min > 1 || len(r.Not) > 0) {
		r.Via = approval.ViaGitHub
	}
	if a.Signers == "" {
		return r, nil
	}
	var err error
	r.Signers, err = approval.ReadSigners(string(a.Signers))
	return r, err
}

// unlisted tells whether reviewers may approve whom no list of signers names:
// nobody then knows which account at a terminal is the same person's.
func (a *Approval) unlisted() bool { return a.Signers == "" && len(a.Environments()) > 0 }

// Run weighs what was said, and asks whoever is at the terminal if that is not
// enough.
func (a *Approval) Run(ctx context.Context, env *task.Env) (Approved, error) {
	rules, err := a.Rules(env)
	if err != nil {
		return Approved{}, err
	}
	before, _, err := task.Saved[Approved](env)
	if err != nil {
		return Approved{}, err
	}
	decisions, unread := said(env, before.Decisions, rules.Signers)
	reviews, void, err := a.reviewed(ctx, env, rules, before.Decisions)
	decisions, unread = append(decisions, reviews...), append(unread, void...)
	verdict := rules.Judge(decisions, env.Basis, time.Now())
	if err != nil { // what was said is in the receipt still
		unread = append(unread, approval.Ignored{By: "unknown", Why: err.Error()})
		return a.receipt(env, rules, append(decisions, byReview(before.Decisions)...), verdict, unread), err
	}
	if !verdict.Open(rules) && couldAdd(env.Account, rules, verdict) {
		answer, err := ask(ctx, env, task.Question{
			Text: a.text(verdict, rules), Want: a.Word, No: reject, Rests: slices.Sorted(maps.Keys(env.Basis.Receipts)),
		})
		if err != nil && !errors.Is(err, task.ErrClosed) {
			return a.receipt(env, rules, decisions, verdict, unread), err
		}
		if err == nil {
			decision := typed(answer, a.Word, env.Basis)
			if !decision.Approved {
				decision.Reason = why(ctx, env)
			}
			decisions = append(decisions, decision)
			verdict = rules.Judge(decisions, env.Basis, time.Now())
		}
	}
	return a.receipt(env, rules, decisions, verdict, unread), a.outcome(env, rules, verdict, unread)
}

// said returns the decisions so far as they were heard: those typed, which the
// gate's own receipt has, and those signed, which the journal has. What cannot be
// read is ignored, with the reason.
func said(env *task.Env, before []approval.Decision, signers approval.Signers) ([]approval.Decision, []approval.Ignored) {
	signed, unread := signed(env.Statements, signers)
	var decisions []approval.Decision
	for _, d := range before {
		i := slices.IndexFunc(signed, func(s approval.Decision) bool { return s.Via == d.Via && s.By == d.By && s.At.Equal(d.At) })
		switch {
		case d.Via == approval.ViaTerminal:
			decisions = append(decisions, d)
		case i >= 0: // the receipt tells its place only
			decisions, signed = append(decisions, signed[i]), slices.Delete(signed, i, i+1)
		}
	}
	return append(decisions, signed...), unread
}

// signed reads what was signed. A statement counts once: whoever can write the
// journal could put an old one after a newer one of the same person.
func signed(statements []task.Statement, signers approval.Signers) ([]approval.Decision, []approval.Ignored) {
	var decisions []approval.Decision
	unread := []approval.Ignored{}
	for i, statement := range statements {
		d, _, err := approval.Read(statement, signers)
		by := "unknown"
		if err == nil && slices.ContainsFunc(statements[:i], func(s task.Statement) bool { return s.Text == statement.Text }) {
			by, err = d.By, errors.New("the same statement was there before")
		}
		if err != nil {
			unread = append(unread, approval.Ignored{By: by, Why: err.Error()})
			continue
		}
		decisions = append(decisions, d)
	}
	return decisions, unread
}

// couldAdd tells whether the account at the terminal has something to say that
// would count: an approval that is missing, or taking its own rejection back.
func couldAdd(account string, rules approval.Rules, verdict approval.Verdict) bool {
	if rules.Via == approval.ViaGitHub || verdict.Rejection != nil && !approval.Same(verdict.Rejection.By, account) {
		return false
	}
	return !verdict.Has(account) && rules.Bars(account) == ""
}

// why asks for the reason of a rejection that was typed. It is nobody's duty: the
// rejection counts also where none is given, or the person goes.
func why(ctx context.Context, env *task.Env) string {
	const question = "Why? A sentence for the journal, without names; Enter leaves it out:"
	text := question
	for range slips {
		answer, err := askOnce(ctx, env, task.Question{Text: text})
		if err != nil {
			return ""
		}
		refused := approval.Impersonal(answer.Text)
		if refused == nil {
			return answer.Text
		}
		text = fmt.Sprintf("%v: %s.\n%s", refused, task.HintOf(refused), question)
	}
	return ""
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
