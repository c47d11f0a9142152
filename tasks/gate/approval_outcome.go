package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
)

// receipt is what is journalled of the gate, open or not.
func (a *Approval) receipt(
	env *task.Env, rules approval.Rules, decisions []approval.Decision, verdict approval.Verdict, unread []approval.Ignored,
) Approved {
	r := Approved{
		Approved: verdict.Open(rules), Needed: rules.Min, By: []string{}, Decisions: decisions,
		Ignored: append(unread, verdict.Ignored...), May: a.may(rules, verdict), How: a.how(env, rules),
		Command: a.command(env), Environment: a.Environment,
	}
	if r.Decisions == nil {
		r.Decisions = []approval.Decision{}
	}
	for _, d := range verdict.Approvals {
		r.By = append(r.By, d.By)
		r.At = d.At.Format(time.RFC3339)
	}
	return r
}

// outcome is nil if the gate is open.
func (a *Approval) outcome(env *task.Env, rules approval.Rules, verdict approval.Verdict, unread []approval.Ignored) error {
	switch {
	case verdict.Rejection != nil:
		return rejected(*verdict.Rejection)
	case verdict.Open(rules):
		return nil
	}
	given := fmt.Sprintf("%d of %d approvals are given", len(verdict.Approvals), rules.Min)
	if len(verdict.Approvals) > 0 {
		given += ", by " + accounts(verdict.Approvals)
	}
	problems := []string{given}
	for _, ignored := range append(unread, verdict.Ignored...) {
		problems = append(problems, fmt.Sprintf("one by %s does not count: %s", ignored.By, ignored.Why))
	}
	return task.Hint(fmt.Errorf("%s: %w", strings.Join(problems, "; "), task.ErrClosed), a.who(env, rules, verdict))
}

func rejected(d approval.Decision) error {
	if d.Reason != "" {
		return fmt.Errorf("rejected by %s: %s", d.By, d.Reason)
	}
	return fmt.Errorf("rejected by %s", d.By)
}

func accounts(decisions []approval.Decision) string {
	var names []string
	for _, d := range decisions {
		names = append(names, d.By)
	}
	return strings.Join(names, ", ")
}

// may lists who may still approve, as far as the plan says.
func (a *Approval) may(rules approval.Rules, verdict approval.Verdict) []string {
	names := a.From
	if len(rules.Signers) > 0 {
		names = rules.Signers.Names()
	}
	may := []string{}
	for _, name := range names {
		if rules.Bars(name) == "" && !verdict.Has(name) {
			may = append(may, name)
		}
	}
	return may
}

// command is what those call who sign.
func (a *Approval) command(env *task.Env) string {
	if a.Signers == "" {
		return ""
	}
	return fmt.Sprintf("phasegate approve %s %s", env.Basis.Run, env.Basis.Gate)
}

// how lists the ways to approve.
func (a *Approval) how(env *task.Env, rules approval.Rules) []string {
	how := []string{}
	for _, name := range a.Environments() {
		how = append(how, "review the GitHub environment "+name)
	}
	if command := a.command(env); command != "" {
		how = append(how, "call "+command)
	}
	if rules.Via == approval.ViaGitHub {
		return how
	}
	return append(how, fmt.Sprintf("go on with the run at a terminal and type %q", a.Word))
}

// who is the hint: who may approve, and how.
func (a *Approval) who(env *task.Env, rules approval.Rules, verdict approval.Verdict) string {
	who := "a person who may approve"
	if may := a.may(rules, verdict); len(may) > 0 {
		who = strings.Join(may, " or ")
	}
	if except := a.except(rules); except != "" {
		who += ", but not " + except + ","
	}
	hint := fmt.Sprintf("let %s %s", who, strings.Join(a.how(env, rules), ", or "))
	if rules.Via == approval.ViaGitHub {
		hint += "; what is typed at a terminal does not count here, because the plan names no signers for the gate: " +
			"nobody could tell whose accounts are one person's"
	}
	return hint
}

// except names who may not, where no list of signers has taken them out already.
func (a *Approval) except(rules approval.Rules) string {
	if len(rules.Signers) > 0 {
		return ""
	}
	var except []string
	for _, who := range a.Not {
		if initiator(who) && rules.Initiator != "" {
			who = rules.Initiator + ", who began the run"
		}
		except = append(except, who)
	}
	return strings.Join(except, " or ")
}
