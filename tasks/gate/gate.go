// Package gate holds what a run waits for or stops at: a person's approval, a
// list that a person signs off, and comparisons over what earlier steps found.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// The words that mean no, and how often a slip is asked about again.
const (
	reject = "reject"
	no     = "no"
	slips  = 5
)

// ask puts a question to the person at the terminal until the answer is one of
// its two words: a slip of the fingers decides nothing. Where nobody is, or
// nobody any more, its error wraps task.ErrClosed: the gate may open later.
func ask(ctx context.Context, env *task.Env, q task.Question) (task.Answer, error) {
	if env.Ask == nil {
		return task.Answer{}, fmt.Errorf("nobody can be asked here: %w", task.ErrClosed)
	}
	text := q.Text
	for range slips {
		answer, err := askOnce(ctx, env, q)
		if err != nil || answer.Text == q.Want || answer.Text == q.No {
			return answer, err
		}
		q.Text = fmt.Sprintf("%q is neither %q nor %q. %s", answer.Text, q.Want, q.No, text)
	}
	return task.Answer{}, fmt.Errorf("no answer in %d tries: %w", slips, task.ErrClosed)
}

func askOnce(ctx context.Context, env *task.Env, q task.Question) (task.Answer, error) {
	answer, err := env.Ask(ctx, q)
	switch {
	case ctx.Err() != nil:
		return task.Answer{}, context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return task.Answer{}, fmt.Errorf("nobody answered: %w", task.ErrClosed)
	case err != nil:
		return task.Answer{}, fmt.Errorf("ask at the terminal: %w", err)
	}
	return answer, nil
}

// now is how receipts give a time.
func now() string { return time.Now().UTC().Format(time.RFC3339) }
