package gate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

// person is somebody at the terminal who gives these answers, one after the
// other, and then leaves. It keeps the questions.
type person struct {
	answers []string
	asked   []task.Question
}

func (p *person) env(t *testing.T) *task.Env {
	env := tasktest.Env(t)
	env.Ask = func(_ context.Context, q task.Question) (task.Answer, error) {
		if len(p.answers) == 0 {
			return task.Answer{}, fmt.Errorf("read the answer: %w", io.EOF)
		}
		p.asked = append(p.asked, q)
		answer := p.answers[0]
		p.answers = p.answers[1:]
		return task.Answer{Text: answer, By: "ops-7"}, nil
	}
	return env
}

func approval() *gate.Approval {
	return &gate.Approval{
		Word: "approve", Min: 1, Expires: time.Hour, Summary: "Users move to Auth0.", Environment: "production-users",
	}
}

func TestTheGatesKeepTheContract(t *testing.T) {
	t.Parallel()
	willing := &person{answers: []string{"approve", "approve", "approve"}}
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Gate("gate/approval", &gate.Approval{Word: "approve", Min: 1, Expires: time.Hour}),
		Configure: func(any) {},
		Env:       willing.env(t),
	})
	diligent := &person{answers: []string{"yes", "yes", "yes", "yes", "yes", "yes"}}
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Gate("gate/checklist", &gate.Checklist{Word: "yes"}),
		Configure: func(config any) { config.(*gate.Checklist).Items = items() },
		Env:       diligent.env(t),
	})
	tasktest.Conform(t, tasktest.Case{
		Spec: task.Gate("gate/assert", &gate.Assert{}),
		Configure: func(config any) {
			config.(*gate.Assert).That = task.Condition{Source: "steps.users.failed == 0", Holds: true}
		},
	})
}

func TestAnApprovalIsTheTypedWord(t *testing.T) {
	t.Parallel()
	p := &person{answers: []string{"approve"}}
	receipt, err := approval().Run(t.Context(), p.env(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(receipt.By, []string{"ops-7"}) || receipt.At == "" || !receipt.Approved || receipt.Environment != "production-users" {
		t.Errorf("receipt %+v", receipt)
	}
	if len(p.asked) != 1 || p.asked[0].Text != "Users move to Auth0." || p.asked[0].Want != "approve" {
		t.Errorf("asked %+v", p.asked)
	}
}

func TestTheWordRejectIsARejection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers      []string
		says, reason string
	}{
		"with its reason":           {[]string{"reject", "ward 7 is on paper"}, "rejected by ops-7: ward 7 is on paper", "ward 7 is on paper"},
		"without one":               {[]string{"reject", ""}, "rejected by ops-7", ""},
		"by somebody who then left": {[]string{"reject"}, "rejected by ops-7", ""},
		"with an address, at first": {[]string{"reject", "ask nurse@example.org", "ask ward 7"}, "rejected by ops-7: ask ward 7", "ask ward 7"},
		"with nothing but addresses": {
			append([]string{"reject"}, slices.Repeat([]string{"ask nurse@example.org"}, 9)...), "rejected by ops-7", "",
		},
	} {
		p := &person{answers: c.answers}
		receipt, err := approval().Run(t.Context(), p.env(t))
		if err == nil || err.Error() != c.says || errors.Is(err, task.ErrClosed) {
			t.Errorf("%s: error %v", name, err)
		}
		if len(receipt.Decisions) != 1 || receipt.Decisions[0].By != "ops-7" || receipt.Approved || receipt.Decisions[0].Reason != c.reason {
			t.Errorf("%s: receipt %+v", name, receipt)
		}
	}
}

func TestASlipIsAskedAgainAndDecidesNothing(t *testing.T) {
	t.Parallel()
	for _, slip := range []string{"aprove", "", "yes", "Approve", "approve it"} {
		p := &person{answers: []string{slip, "approve"}}
		if receipt, err := approval().Run(t.Context(), p.env(t)); err != nil || !receipt.Approved {
			t.Errorf("%q, then the word: %+v, %v", slip, receipt, err)
		}
		if len(p.asked) != 2 || !strings.Contains(p.asked[1].Text, `neither "approve" nor "reject"`) {
			t.Errorf("%q: asked %+v", slip, p.asked)
		}
	}
	cat := &person{answers: slices.Repeat([]string{"asdf"}, 100)}
	if _, err := approval().Run(t.Context(), cat.env(t)); !errors.Is(err, task.ErrClosed) || len(cat.asked) > 10 {
		t.Errorf("after %d slips: %v", len(cat.asked), err)
	}
}

func TestWhereNobodyCanBeAskedTheApprovalWaitsAndSaysForWhom(t *testing.T) {
	t.Parallel()
	gone := &person{}
	for name, env := range map[string]*task.Env{"no terminal": tasktest.Env(t), "nobody at it": gone.env(t)} {
		_, err := approval().Run(t.Context(), env)
		if !errors.Is(err, task.ErrClosed) {
			t.Errorf("%s: error %v", name, err)
		}
		if hint := task.HintOf(err); !strings.Contains(hint, "production-users") || !strings.Contains(hint, `"approve"`) {
			t.Errorf("%s: hint %q", name, hint)
		}
	}
}

func TestAnInterruptionIsNoRejection(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	env := tasktest.Env(t)
	env.Ask = func(ctx context.Context, _ task.Question) (task.Answer, error) {
		cancel(cause)
		return task.Answer{}, fmt.Errorf("read the answer: %w", context.Cause(ctx))
	}
	if _, err := approval().Run(ctx, env); !errors.Is(err, cause) || errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestATerminalThatBreaksIsNeitherAnswerNorWait(t *testing.T) {
	t.Parallel()
	broken := errors.New("input/output error")
	env := tasktest.Env(t)
	env.Ask = func(context.Context, task.Question) (task.Answer, error) { return task.Answer{}, broken }
	if _, err := approval().Run(t.Context(), env); !errors.Is(err, broken) || errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeAskedIsRefused(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no word":        (&gate.Approval{Min: 1, Expires: time.Hour}).Validate(),
		"two words":      (&gate.Approval{Word: "go on", Min: 1, Expires: time.Hour}).Validate(),
		"nobody needed":  (&gate.Approval{Word: "approve", Expires: time.Hour}).Validate(),
		"expired always": (&gate.Approval{Word: "approve", Min: 1}).Validate(),
		"own approval":   (&gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, From: []string{"initiator"}}).Validate(),
		"two people, one environment, no signers":  (&gate.Approval{Word: "approve", Min: 2, Expires: time.Hour, Environment: "prod"}).Validate(),
		"an initiator whom GitHub calls otherwise": (&gate.Approval{Word: "approve", Min: 1, Expires: time.Hour, Environment: "prod", Not: []string{"initiator"}}).Validate(),
		"no condition":   (&gate.Assert{}).Validate(),
		"no items":       (&gate.Checklist{Word: "yes"}).Validate(),
		"an empty item":  (&gate.Checklist{Word: "yes", Items: []string{"a", " "}}).Validate(),
		"an item twice":  (&gate.Checklist{Word: "yes", Items: []string{"a", "b", "a"}}).Validate(),
		"no word to say": (&gate.Checklist{Items: []string{"a"}}).Validate(),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
