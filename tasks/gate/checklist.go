package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/task"
)

// Checklist opens when a person at a terminal has signed off each of its items:
// what no machine can check. Each signature is recorded when it is given, so
// that after an interruption only the items that are left are asked. An item
// that is not signed off leaves the gate closed, and the run waiting. Where
// GitHub Actions drives the run, whoever approves the environment has read the
// items in the preview, and signs all of them off with it.
type Checklist struct {
	Items       []string `with:"items,required"` // what has to be true, a sentence each
	Word        string   `with:"word"`           // the word that signs an item off; default yes
	Environment string   `with:"environment"`    // GitHub environment whose reviewers sign off where GitHub Actions drives the run
}

// Signatures are the items that were signed off.
type Signatures struct {
	Items  []Signature `json:"items"`  // in the order of the list
	Signed int         `json:"signed"` // how many
	Open   int         `json:"open"`   // how many are left
}

// A Signature is one item that a person has signed off.
type Signature struct {
	Item string `json:"item"` // as in the plan
	By   string `json:"by"`   // account that answered
	At   string `json:"at"`   // when, or when the approval was seen, RFC 3339 in UTC
}

// Validate holds that there are items, each once, and a word.
func (c *Checklist) Validate() error {
	if len(c.Items) == 0 {
		return errors.New("items is empty: write at least one")
	}
	if c.Word == "" {
		return task.Hint(errors.New("word is empty"), "choose a single word, such as yes")
	}
	for i, item := range c.Items {
		if strings.TrimSpace(item) == "" {
			return fmt.Errorf("item %d is empty", i+1)
		}
		if slices.Contains(c.Items[:i], item) {
			return fmt.Errorf("item %d is on the list twice: %s", i+1, item)
		}
	}
	return nil
}

// Check has nothing to look at: the items are asked when their turn comes.
func (c *Checklist) Check(context.Context, *task.Env) error { return nil }

// Run asks for the items that are not signed off yet.
func (c *Checklist) Run(ctx context.Context, env *task.Env) (Signatures, error) {
	before, _, err := task.Saved[Signatures](env)
	if err != nil {
		return Signatures{}, err
	}
	receipt := Signatures{Items: []Signature{}}
	for _, item := range c.Items {
		if i := slices.IndexFunc(before.Items, func(s Signature) bool { return s.Item == item }); i >= 0 {
			receipt.Items = append(receipt.Items, before.Items[i])
		}
	}
	by, ignored, err := c.reviewer(ctx, env)
	if err != nil {
		return receipt, err
	}
	for i, item := range c.Items {
		receipt.Signed, receipt.Open = len(receipt.Items), len(c.Items)-len(receipt.Items)
		if receipt.has(item) {
			continue
		}
		if by != "" {
			receipt.Items = append(receipt.Items, Signature{item, by, now()})
			receipt.Signed, receipt.Open = len(receipt.Items), len(c.Items)-len(receipt.Items)
			continue
		}
		text := fmt.Sprintf("%d of %d: %s", i+1, len(c.Items), item)
		answer, err := ask(ctx, env, task.Question{Text: text, Want: c.Word, No: no})
		if err == nil && answer.Text != c.Word {
			err = fmt.Errorf("the answer was no: %w", task.ErrClosed)
		}
		if err != nil {
			return receipt, c.left(receipt, ignored, err)
		}
		receipt.Items = append(receipt.Items, Signature{item, answer.By, now()})
		receipt.Signed, receipt.Open = len(receipt.Items), len(c.Items)-len(receipt.Items)
		if err := env.Save(receipt); err != nil {
			return receipt, err
		}
	}
	return receipt, nil
}

// Environments is the one whose reviewers may sign the items off.
func (c *Checklist) Environments() []string { return []string{c.Environment} }

// how says how the items are signed off.
func (c *Checklist) how() string {
	how := fmt.Sprintf("let whoever can vouch for them go on with the run at a terminal and type %q for each", c.Word)
	if c.Environment != "" {
		how += ", or review the GitHub environment " + c.Environment
	}
	return how
}

// reviewer is who approved the list's environment, by the rules of an approval;
// "" if nobody did whose approval counts, with what does not and why.
func (c *Checklist) reviewer(ctx context.Context, env *task.Env) (by string, ignored []approval.Ignored, err error) {
	if c.Environment == "" {
		return "", nil, nil
	}
	a := Approval{Environment: c.Environment}
	decisions, ignored, err := a.reviewed(ctx, env, approval.Rules{}, nil)
	for _, d := range decisions {
		if !d.Approved {
			return "", nil, rejected(d)
		}
	}
	if err != nil || len(decisions) == 0 {
		return "", ignored, err
	}
	return decisions[0].By, ignored, nil
}

func (s Signatures) has(item string) bool {
	return slices.ContainsFunc(s.Items, func(signature Signature) bool { return signature.Item == item })
}

// left names the items that are still open, and what counts for nothing.
func (c *Checklist) left(receipt Signatures, ignored []approval.Ignored, err error) error {
	if !errors.Is(err, task.ErrClosed) {
		return err
	}
	var open []string
	for _, item := range c.Items {
		if !receipt.has(item) {
			open = append(open, item)
		}
	}
	for _, i := range ignored {
		err = fmt.Errorf("one by %s does not count: %s; %w", i.By, i.Why, err)
	}
	return task.Hint(fmt.Errorf("%d of %d items are not signed off (%s): %w", len(open), len(c.Items), strings.Join(open, "; "), err),
		c.how())
}

// Preview lists the items for whoever will sign them off.
func (c *Checklist) Preview(context.Context, *task.Env) (task.Preview, error) {
	return task.Preview{Does: slices.Clone(c.Items)}, nil
}
