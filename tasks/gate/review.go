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
// the rest one counts for each environment, each by another person. What this run
// saw before keeps the time and the basis at which it was seen first.
func (a *Approval) reviewed(ctx context.Context, env *task.Env, rules approval.Rules, before []approval.Decision) ([]approval.Decision, []approval.Ignored, error) {
	wanted := a.Environments()
	if env.Reviews == nil || len(wanted) == 0 {
		return nil, nil, nil
	}
	reviews, err := env.Reviews(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, nil, err
	}
	if err != nil { // a failure here would take back what earlier phases did, though nobody said no
		return nil, nil, fmt.Errorf("%w: %w", err, task.ErrClosed)
	}
	var decisions []approval.Decision
	ignored := []approval.Ignored{}
	// Where a person said both, the rejection is the last word.
	slices.SortStableFunc(reviews, func(a, b task.Review) int { return rank(a) - rank(b) })
	for _, review := range reviews {
		i := slices.IndexFunc(wanted, same(review.Environment))
		if i < 0 {
			continue
		}
		review.Environment = wanted[i]
		if why := a.voidReview(review, env, rules); why != "" {
			ignored = append(ignored, approval.Ignored{By: review.By, Why: why})
			continue
		}
		decisions = append(decisions, seen(review, env.Basis, decisions, before))
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(reviews, func(r task.Review) bool { return same(name)(r.Environment) }) {
			ignored = append(ignored, approval.Ignored{By: "nobody", Why: fmt.Sprintf(
				"the job was started without a review of environment %s: it requires none, or an administrator passed over it", name)})
		}
	}
	kept := pair(decisions, wanted)
	for _, d := range decisions {
		if !slices.ContainsFunc(kept, func(k approval.Decision) bool { return approval.Same(k.By, d.By) && k.Environment == d.Environment }) {
			ignored = append(ignored, approval.Ignored{By: d.By, Why: fmt.Sprintf(
				"of environment %s: each environment has to be approved by another person, and once is enough", d.Environment)})
		}
	}
	return kept, ignored, nil
}

// seen is what a reviewer decided. GitHub tells no time: it is dated when this run
// first saw it, and rests on what was there then. Each of a person's reviews for
// one job counts anew: they differ in how many there are.
func seen(review task.Review, basis task.Basis, decisions, before []approval.Decision) approval.Decision {
	d := approval.Decision{
		Version: approval.Version, Approved: review.Approved, By: review.By, Via: approval.ViaGitHub, Seen: true,
		At: time.Now().UTC().Truncate(time.Second), Covers: basis, Environment: review.Environment,
	}
	if !d.Approved {
		d.Reason = approval.Masked(review.Comment)
	}
	alike := func(other approval.Decision) bool {
		return other.Via == d.Via && other.Approved == d.Approved && approval.Same(other.By, d.By) && other.Environment == d.Environment
	}
	number := 1
	for _, other := range decisions {
		if alike(other) {
			number++
		}
	}
	d.Review = fmt.Sprintf("%s#%d", review.Job, number)
	if i := slices.IndexFunc(before, func(b approval.Decision) bool { return alike(b) && b.Review == d.Review }); i >= 0 {
		d.At, d.Covers = before[i].At, before[i].Covers
	}
	return d
}

// byReview returns those of the decisions that reviewers took.
func byReview(decisions []approval.Decision) []approval.Decision {
	return slices.DeleteFunc(slices.Clone(decisions), func(d approval.Decision) bool { return d.Via != approval.ViaGitHub })
}

// same tells whether another name is that of the same environment: GitHub does not
// tell capitals from small letters.
// https://docs.github.com/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments
func same(name string) func(string) bool {
	return func(other string) bool { return strings.EqualFold(name, other) }
}

// pair keeps one approval of as many environments as can have one, each by
// another person, and every rejection. One person's approval of one environment
// moves on to another where that lets somebody else's count.
func pair(decisions []approval.Decision, environments []string) []approval.Decision {
	held := map[string]approval.Decision{} // by the person, in small letters
	var give func(environment string, seen map[string]bool) bool
	give = func(environment string, seen map[string]bool) bool {
		for _, d := range decisions {
			if !d.Approved || d.Environment != environment || seen[strings.ToLower(d.By)] {
				continue
			}
			person := strings.ToLower(d.By)
			seen[person] = true
			if before, taken := held[person]; !taken || give(before.Environment, seen) {
				held[person] = d
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
		if by, ok := held[strings.ToLower(d.By)]; !d.Approved || ok && by.Environment == d.Environment {
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
