package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/medlogistics/phasegate/runner/task"
)

// Approval opens when a person who has seen what is about to happen types the
// agreed word. The word reject is a rejection, and the run fails; anything else
// is asked again. Where nobody can be asked, the run ends waiting, and the gate
// asks when the run goes on.
type Approval struct {
	Summary     string `with:"summary"`     // what is about to happen and what to look at first, shown to whoever is asked
	Word        string `with:"word"`        // the word that approves; default approve
	Environment string `with:"environment"` // GitHub environment whose reviewers may approve where GitHub Actions drives the run
}

// Approved is an approval, or a rejection if the gate failed.
type Approved struct {
	By          string `json:"by"`          // account that answered
	At          string `json:"at"`          // when, RFC 3339 in UTC
	Approved    bool   `json:"approved"`    // whether the word was the right one
	Word        string `json:"word"`        // the word that approves
	Environment string `json:"environment"` // the environment, "" if the plan names none
}

// Validate holds that the word can be typed.
func (a *Approval) Validate() error {
	if a.Word == reject || a.Word == "" || strings.ContainsFunc(a.Word, unicode.IsSpace) {
		return task.Hint(fmt.Errorf("word is %q", a.Word), "choose a single word, such as approve")
	}
	return nil
}

// Check has nothing to look at: an approval is asked for when its turn comes.
func (a *Approval) Check(context.Context, *task.Env) error { return nil }

// Run asks for the word.
func (a *Approval) Run(ctx context.Context, env *task.Env) (Approved, error) {
	text := a.Summary
	if text == "" {
		text = "The plan asks for an approval before it goes on."
	}
	answer, err := ask(ctx, env, task.Question{Text: text, Want: a.Word, No: reject})
	if errors.Is(err, task.ErrClosed) {
		return Approved{}, task.Hint(fmt.Errorf("wait for an approval: %w", err), a.who())
	}
	if err != nil {
		return Approved{}, err
	}
	receipt := Approved{By: answer.By, At: now(), Approved: answer.Text == a.Word, Word: a.Word, Environment: a.Environment}
	if !receipt.Approved {
		return receipt, errors.New("not approved")
	}
	return receipt, nil
}

// who says who may approve, and how.
func (a *Approval) who() string {
	terminal := fmt.Sprintf("let a person who may approve go on with the run at a terminal and type %q", a.Word)
	if a.Environment == "" {
		return terminal
	}
	return fmt.Sprintf("ask a reviewer of the GitHub environment %s to approve, or %s", a.Environment, terminal)
}
