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

// Whoever dates an approval ahead has it expire no later: it counts from when it
// came into the journal.
func TestAnApprovalThatWasDatedAheadExpiresFromWhenItWasJournalled(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	s.says(true, -30*time.Minute)
	s.isOpen(true, "half an hour old")
	s.env.Statements[0].Time = time.Now().Add(-20 * time.Hour)
	if err := s.looks(t.Context()); err == nil || !strings.Contains(err.Error(), "it expired 1h0m0s after it was given") {
		t.Errorf("error %v", err)
	}
	s.env.Statements[0].Time = time.Now()
	s.isOpen(true, "journalled now")
}

// GitHub tells no time of a review: it counts from when the run first saw it, and
// for what was there then. Another review of the same person counts anew.
func TestAReviewCountsFromWhenItWasFirstSeenAndForWhatWasThereThen(t *testing.T) {
	t.Parallel()
	g := gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod"}
	of := func(job string) task.Review {
		r := review("bob", "prod")
		r.Job = job
		return r
	}
	first := func(t *testing.T) gate.Approved {
		t.Helper()
		receipt, err := g.Run(t.Context(), driven(t, of("777/1")))
		if err != nil || len(receipt.Decisions) != 1 {
			t.Fatalf("%+v, %v", receipt, err)
		}
		return receipt
	}
	for _, c := range []struct {
		name    string
		ago     time.Duration // when it was first seen
		backup  string        // receipt that there is by now
		reviews []task.Review
		want    string // "" is open
	}{
		{"half an hour later", 30 * time.Minute, "", []task.Review{of("777/1")}, ""},
		{"two hours later", 2 * time.Hour, "", []task.Review{of("777/1")}, "it expired 1h0m0s after"},
		{"another receipt", time.Minute, "00", []task.Review{of("777/1")}, "step backup has a receipt that the approver did not see"},
		{"reviewed again", 2 * time.Hour, "00", []task.Review{of("777/1"), of("777/1")}, ""},
		{"another attempt", 2 * time.Hour, "00", []task.Review{of("777/2")}, ""},
		{"another run of the workflow", 2 * time.Hour, "00", []task.Review{of("778/1")}, ""},
	} {
		before := first(t)
		before.Decisions[0].At = before.Decisions[0].At.Add(-c.ago)
		env := driven(t, c.reviews...)
		if c.backup != "" {
			env.Basis.Receipts = map[string]string{"backup": c.backup}
		}
		env.Saved, _ = json.Marshal(before)
		receipt, err := g.Run(t.Context(), env)
		if c.want == "" && (err != nil || !receipt.Approved) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", c.name, receipt, err)
		}
	}
}

func TestAReviewIsNoYoungerWhenTheForgeDidNotAnswerInBetween(t *testing.T) {
	t.Parallel()
	g := gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod"}
	env := driven(t, review("bob", "prod"))
	receipt, err := g.Run(t.Context(), env)
	if err != nil || len(receipt.Decisions) != 1 {
		t.Fatal(err)
	}
	receipt.Decisions[0].At = receipt.Decisions[0].At.Add(-2 * time.Hour)
	env.Saved, _ = json.Marshal(receipt)
	answers := env.Reviews
	env.Reviews = func(context.Context) ([]task.Review, error) { return nil, errors.New("502") }
	if receipt, err = g.Run(t.Context(), env); err == nil || receipt.Approved || receipt.Decisions[0].Via != said.ViaGitHub {
		t.Fatalf("%+v, %v", receipt, err)
	}
	env.Saved, _ = json.Marshal(receipt)
	env.Reviews = answers
	if _, err = g.Run(t.Context(), env); err == nil || !strings.Contains(err.Error(), "it expired") {
		t.Errorf("error %v", err)
	}
}
