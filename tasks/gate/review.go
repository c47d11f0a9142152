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
// by whoever began the run, one without the digest where the plan asks for it.
func (a *Approval) reviewed(ctx context.Context, env *task.Env) ([]approval.Decision, []approval.Ignored, error) {
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
		if why := a.voidReview(review, env); why != "" {
			ignored = append(ignored, approval.Ignored{By: review.By, Why: why})
			continue
		}
		decisions = append(decisions, approval.Decision{
			Version: approval.Version, Approved: review.Approved, By: review.By, Via: approval.ViaGitHub,
			At: time.Now().UTC().Truncate(time.Second), Covers: env.Basis, Environment: review.Environment,
		})
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(reviews, func(r task.Review) bool { return r.Environment == name }) {
			ignored = append(ignored, approval.Ignored{By: "nobody", Why: fmt.Sprintf(
				"the job was started without a review of environment %s: it requires none, or an administrator passed over it", name)})
		}
	}
	return decisions, ignored, nil
}

func rank(r task.Review) int {
	if r.Approved {
		return 0
	}
	return 1
}

func (a *Approval) voidReview(review task.Review, env *task.Env) string {
	switch {
	case !review.Approved:
		return ""
	case review.Void != "":
		return review.Void
	case !review.Person:
		return "it is a program's account"
	case review.By == env.Initiator || review.By == env.Account:
		return fmt.Sprintf("%s started the run, and may not approve it", review.By)
	case a.Comment && !strings.Contains(review.Comment, env.Basis.Digest[:digits]):
		return fmt.Sprintf("its comment does not have the first %d digits of the plan's digest, %s", digits, env.Basis.Digest[:digits])
	}
	return ""
}
