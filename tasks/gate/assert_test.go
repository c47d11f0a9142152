package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

func TestAnAssertionThatHoldsRecordsWhatWasSeen(t *testing.T) {
	t.Parallel()
	assert := &gate.Assert{That: task.Condition{
		Source: "steps.users.failed == 0", Holds: true, Values: map[string]any{"steps.users.failed": 0},
	}}
	receipt, err := assert.Run(t.Context(), tasktest.Env(t))
	if err != nil || !receipt.Holds || receipt.Values["steps.users.failed"] != 0 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestAnAssertionThatDoesNotHoldIsFinalAndShowsTheValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		gate gate.Assert
		want string
	}{
		{"with a message", gate.Assert{
			Message: "Some users were not moved.",
			That: task.Condition{
				Source: "steps.users.failed == 0 && steps.users.state == 'done'",
				Values: map[string]any{"steps.users.state": "partly done", "steps.users.failed": 3},
			},
		}, "Some users were not moved: steps.users.failed == 0 && steps.users.state == 'done' does not hold; " +
			`steps.users.failed is 3, steps.users.state is "partly done"`},
		{"without one", gate.Assert{That: task.Condition{Source: "false"}}, "false does not hold"},
		{"that cannot be judged", gate.Assert{That: task.Condition{
			Source: "steps.users.failed == 0", Reason: "steps.users has no receipt",
		}}, "steps.users.failed == 0 cannot be judged: steps.users has no receipt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			receipt, err := c.gate.Run(t.Context(), tasktest.Env(t))
			if err == nil || err.Error() != c.want || errors.Is(err, task.ErrClosed) {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
			if receipt.Holds || receipt.That != c.gate.That.Source || receipt.Values == nil {
				t.Errorf("receipt %+v", receipt)
			}
		})
	}
}

func TestAnEmptyConditionOfSpacesIsRefused(t *testing.T) {
	t.Parallel()
	err := (&gate.Assert{That: task.Condition{Source: "  "}}).Validate()
	if err == nil || !strings.Contains(err.Error(), "that is empty") {
		t.Errorf("error %v", err)
	}
}
