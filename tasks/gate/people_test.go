package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	said "github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

// Without a list of signers nobody knows that bsmith at the terminal and bob at
// GitHub are one person, so only what GitHub says of people counts.
func TestOnePersonWithAnAccountHereAndOneAtGitHubIsNotTwo(t *testing.T) {
	t.Parallel()
	g := gate.Approval{Word: "approve", Min: 2, Expires: time.Hour, Environment: "prod", More: []string{"prod-2"}}
	env := driven(t, review("bob", "prod"))
	typed := said.Decision{Approved: true, By: "bsmith", Via: said.ViaTerminal, At: time.Now(), Covers: env.Basis}
	env.Saved, _ = json.Marshal(gate.Approved{Decisions: []said.Decision{typed}})
	env.Ask = func(context.Context, task.Question) (task.Answer, error) {
		t.Error("somebody is asked whose answer cannot count")
		return task.Answer{Text: "approve", By: "carol"}, nil
	}
	receipt, err := g.Run(t.Context(), env)
	if !errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), "1 of 2 approvals are given, by bob") {
		t.Errorf("error %v", err)
	}
	if hint := task.HintOf(err); !strings.Contains(hint, "the plan names no signers") || strings.Contains(hint, "and type") {
		t.Errorf("hint %q", hint)
	}
	if how := strings.Join(receipt.How, "; "); how != "review the GitHub environment prod; review the GitHub environment prod-2" {
		t.Errorf("how: %s", how)
	}
	two := driven(t, review("bob", "prod"), review("carol", "prod-2"))
	if receipt, err := g.Run(t.Context(), two); err != nil || !receipt.Approved {
		t.Errorf("two reviewers: %+v, %v", receipt, err)
	}
}

func TestAReviewerWhoMayNotApproveMayNotInCapitalsEither(t *testing.T) {
	t.Parallel()
	g := gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod", Not: []string{"Mallory"}}
	if _, err := g.Run(t.Context(), driven(t, review("mallory", "prod"))); !errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
	g = gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod", More: []string{"prod-2"}}
	if _, err := g.Run(t.Context(), driven(t, review("bob", "prod"), review("Bob", "prod-2"))); !errors.Is(err, task.ErrClosed) {
		t.Errorf("one person for two environments: %v", err)
	}
}

// The rehearsal answers for everybody, whoever would have to approve the run itself.
func TestARehearsalNeedsNobodyWhoMayApprove(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	for name, g := range map[string]gate.Approval{
		"signers":      {Signers: s.gate.Signers, Min: 2, From: []string{"dba"}, Not: []string{"initiator"}},
		"environments": {Environment: "prod", More: []string{"prod-2"}},
	} {
		g.Word, g.Expires, g.Min = "approve", time.Hour, max(g.Min, 1)
		s.env.Rehearsing = true
		s.env.Ask = func(context.Context, task.Question) (task.Answer, error) {
			return task.Answer{Text: "approve", By: "rehearsal"}, nil
		}
		if receipt, err := g.Run(t.Context(), s.env); err != nil || !receipt.Approved {
			t.Errorf("%s: %+v, %v", name, receipt, err)
		}
	}
}
