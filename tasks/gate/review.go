package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
)

// digits of the plan's digest that a comment has to have, where the plan asks
// for it: what `phasegate plan` and the preview show.
const digits = 12

// Environments are those whose reviewers have to approve.
func (a *Approval) Environments() []string {
	if a.Environment == "" {
		return a.More
	}
	return append([]string{a.Environment}, a.More...)
}

// reviewed returns what reviewers decided about the gate's environments. What
// does not count is ignored, with the reason: a review that is no person's, one
// by whoever began the run, one without the digest where the plan asks for it. Of
// the rest one counts for each environment, each by another person.
func (a *Approval) reviewed(ctx context.Context, env *task.Env, rules approval.Rules) ([]approval.Decision, []approval.Ignored, error) {
	wanted := a.Environments()
	if env.Reviews == nil || len(wanted) == 0 {
		return nil, nil, nil
	}
	reviews, err := env.Reviews(ctx)
	if err != nil {
		return nil, nil, err
	}
	var decisions []approval.Decision
	ignored := []approval.Ignored{}
	// Where a person said both, the rejection is the last word.
	slices.SortStableFunc(reviews, func(a, b task.Review) int { return rank(a) - rank(b) })
	for _, review := range reviews {
		if !slices.Contains(wanted, review.Environment) {
			continue
		}
		if why := a.voidReview(review, env, rules); why != "" {
			ignored = append(ignored, approval.Ignored{By: review.By, Why: why})
			continue
		}
		decisions = append(decisions, approval.Decision{
			Version: approval.Version, Approved: review.Approved, By: review.By, Via: approval.ViaGitHub, Seen: true,
			At: time.Now().UTC().Truncate(time.Second), Covers: env.Basis, Environment: review.Environment,
		})
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(reviews, func(r task.Review) bool { return r.Environment == name }) {
			ignored = append(ignored, approval.Ignored{By: "nobody", Why: fmt.Sprintf(
				"the job was started without a review of environment %s: it requires none, or an administrator passed over it", name)})
		}
	}
	kept := pair(decisions, wanted)
	for _, d := range decisions {
		if !slices.ContainsFunc(kept, func(k approval.Decision) bool { return k.By == d.By && k.Environment == d.Environment }) {
			ignored = append(ignored, approval.Ignored{By: d.By, Why: fmt.Sprintf(
				"of environment %s: each environment has to be approved by another person, and once is enough", d.Environment)})
		}
	}
	return kept, ignored, nil
}

// pair keeps one approval of as many environments as can have one, each by
// another person, and every rejection. One person's approval of one environment
// moves on to another where that lets somebody else's count.
func pair(decisions []approval.Decision, environments []string) []approval.Decision {
	held := map[string]approval.Decision{} // by the person
	var give func(environment string, seen map[string]bool) bool
	give = func(environment string, seen map[string]bool) bool {
		for _, d := range decisions {
			if !d.Approved || d.Environment != environment || seen[d.By] {
				continue
			}
			seen[d.By] = true
			if before, taken := held[d.By]; !taken || give(before.Environment, seen) {
				held[d.By] = d
				return true
			}
		}
		return false
	}
	for _, environment := range environments {
		give(environment, map[string]bool{})
	}
	var kept []approval.Decision
	for _, d := range decisions {
		if by, ok := held[d.By]; !d.Approved || ok && by.Environment == d.Environment {
			kept = append(kept, d)
		}
	}
	return kept
}

func rank(r task.Review) int {
	if r.Approved {
		return 0
	}
	return 1
}

func (a *Approval) voidReview(review task.Review, env *task.Env, rules approval.Rules) string {
	switch {
	case !review.Approved:
		return ""
	case review.Void != "":
		return review.Void
	case !review.Person:
		return "it is a program's account"
	case review.By == "" || strings.EqualFold(review.By, env.Initiator) || strings.EqualFold(review.By, env.Account):
		return fmt.Sprintf("%s started the run, and may not approve it", review.By)
	case a.Comment && !strings.Contains(review.Comment, env.Basis.Digest[:digits]):
		return fmt.Sprintf("its comment does not have the first %d digits of the plan's digest, %s", digits, env.Basis.Digest[:digits])
	}
	return rules.Bars(review.By)
}
