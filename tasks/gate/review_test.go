package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	said "github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

const planDigest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// driven is an Env of a run that alice started at a forge.
func driven(t *testing.T, reviews ...task.Review) *task.Env {
	env := tasktest.Env(t)
	env.Initiator, env.Account = "alice", "alice"
	env.Basis = task.Basis{Plan: "move", Digest: planDigest, Run: "run-1", Phase: "schema", Gate: "approve"}
	env.Reviews = func(context.Context) ([]task.Review, error) { return reviews, nil }
	return env
}

func review(by, environment string) task.Review {
	return task.Review{Environment: environment, By: by, Person: true, Approved: true}
}

func TestReviewsOfAnEnvironmentOpenTheGateByTheSameRules(t *testing.T) {
	t.Parallel()
	change := func(r task.Review, how func(*task.Review)) task.Review {
		how(&r)
		return r
	}
	rejected := change(review("bob", "prod"), func(r *task.Review) {
		r.Approved, r.Comment = false, "not tonight,\n  ask nurse@example.org"
	})
	for _, c := range []struct {
		name    string
		reviews []task.Review
		gate    gate.Approval
		want    string // "" is open
	}{
		{name: "approved", reviews: []task.Review{review("bob", "prod")}},
		{name: "bypassed, or no rule", want: "without a review of environment prod"},
		{name: "the environment in capitals", reviews: []task.Review{review("bob", "Prod")}},
		{name: "two environments in capitals, one person", gate: gate.Approval{More: []string{"prod-2"}}, reviews: []task.Review{review("bob", "PROD"), review("bob", "PROD-2")}, want: "1 of 2 approvals"},
		{name: "another environment's", reviews: []task.Review{review("bob", "staging")}, want: "without a review of environment prod"},
		{name: "self-given", reviews: []task.Review{review("alice", "prod")}, want: "alice started the run"},
		{name: "a program's", reviews: []task.Review{change(review("bot", "prod"), func(r *task.Review) { r.Person = false })}, want: "a program's account"},
		{name: "an earlier attempt's", reviews: []task.Review{change(review("bob", "prod"), func(r *task.Review) { r.Void = "it may be attempt 1's" })}, want: "attempt 1's"},
		{name: "rejected", reviews: []task.Review{rejected}, want: "rejected by bob: not tonight, ask [address]"},
		{name: "approved and rejected by one", reviews: []task.Review{rejected, review("bob", "prod")}, want: "rejected by bob"},
		{name: "not one of those who may", gate: gate.Approval{From: []string{"carol"}}, reviews: []task.Review{review("bob", "prod")}, want: "bob is not among those who may"},
		{name: "two people for two environments", gate: gate.Approval{More: []string{"prod-2"}}, reviews: []task.Review{review("bob", "prod"), review("carol", "prod-2")}},
		{name: "one person for two environments", gate: gate.Approval{More: []string{"prod-2"}}, reviews: []task.Review{review("bob", "prod"), review("bob", "prod-2")}, want: "1 of 2 approvals"},
		{name: "two people for one environment, and none for the other", gate: gate.Approval{More: []string{"prod-2"}}, reviews: []task.Review{review("bob", "prod"), review("carol", "prod")}, want: "without a review of environment prod-2"},
		{name: "one of two may stand for either", gate: gate.Approval{More: []string{"prod-2"}}, reviews: []task.Review{review("bob", "prod"), review("bob", "prod-2"), review("carol", "prod")}},
		{name: "self-given in capitals", reviews: []task.Review{review("Alice", "prod")}, want: "Alice started the run"},
		{name: "by an account that is gone", reviews: []task.Review{review("", "prod")}, want: "may not approve"},
		{name: "the digest in the comment", gate: gate.Approval{Comment: true}, reviews: []task.Review{change(review("bob", "prod"), func(r *task.Review) { r.Comment = "seen 0123456789ab, go" })}},
		{name: "no digest in the comment", gate: gate.Approval{Comment: true}, reviews: []task.Review{review("bob", "prod")}, want: "first 12 digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := c.gate
			g.Word, g.Min, g.Expires, g.Environment = "approve", 1, time.Hour, "prod"
			receipt, err := g.Run(t.Context(), driven(t, c.reviews...))
			if c.want == "" {
				if err != nil || !receipt.Approved || receipt.Decisions[0].Via != "github" || !receipt.Decisions[0].Seen {
					t.Fatalf("receipt %+v, error %v", receipt, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if final := strings.Contains(c.want, "rejected"); errors.Is(err, task.ErrClosed) == final {
				t.Errorf("closed for now is %t: %v", !final, err)
			}
		})
	}
}

// Nor does it fail the run, which could take back what earlier phases did: the
// gate is closed for now, and what people said before is kept.
func TestAForgeThatDoesNotAnswerOpensNothing(t *testing.T) {
	t.Parallel()
	env := driven(t)
	down := errors.New("the API answers with status 502")
	env.Reviews = func(context.Context) ([]task.Review, error) { return nil, down }
	g := gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod"}
	typed := gate.Approved{Decisions: []said.Decision{{By: "carol", Approved: true, Via: said.ViaTerminal}}}
	env.Saved, _ = json.Marshal(typed)
	receipt, err := g.Run(t.Context(), env)
	if !errors.Is(err, down) || !errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if receipt.Approved || len(receipt.Decisions) != 1 || !strings.Contains(fmt.Sprint(receipt.Ignored), err.Error()) {
		t.Errorf("receipt %+v", receipt)
	}
	list := checklist()
	list.Environment = "prod"
	if _, err := list.Run(t.Context(), env); !errors.Is(err, down) || !errors.Is(err, task.ErrClosed) {
		t.Errorf("error of the checklist %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Run(ctx, env); errors.Is(err, task.ErrClosed) {
		t.Errorf("interrupted, it waits: %v", err)
	}
}

func TestWhoApprovesTheEnvironmentSignsTheChecklistOff(t *testing.T) {
	t.Parallel()
	rejected := review("bob", "prod")
	rejected.Approved = false
	for _, c := range []struct {
		name    string
		reviews []task.Review
		want    string // "" is open
	}{
		{"approved", []task.Review{review("bob", "prod")}, ""},
		{"bypassed", nil, "without a review of environment prod"},
		{"to be signed off", nil, "review the GitHub environment prod"},
		{"self-given", []task.Review{review("alice", "prod")}, "3 of 3 items are not signed off"},
		{"self-given, and why", []task.Review{review("alice", "prod")}, "alice started the run"},
		{"rejected", []task.Review{rejected}, "rejected by bob"},
	} {
		g := checklist()
		g.Environment = "prod"
		receipt, err := g.Run(t.Context(), driven(t, c.reviews...))
		if c.want == "" {
			if err != nil || receipt.Signed != 3 || receipt.Open != 0 || receipt.Items[2].By != "bob" {
				t.Errorf("%s: receipt %+v, error %v", c.name, receipt, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error()+task.HintOf(err), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
