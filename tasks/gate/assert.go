package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// Assert holds that what earlier steps found is as it must be, and fails the run
// if it is not: waiting would not change their receipts.
type Assert struct {
	That    task.Condition `with:"that,required"` // what must hold, such as steps.users.success_rate == 1 && steps.users.failed == 0
	Message string         `with:"message"`       // what it means if it does not hold, put before the values
}

// Asserted is what was found to hold.
type Asserted struct {
	That   string         `json:"that"`   // the expression
	Holds  bool           `json:"holds"`  // whether it is true
	Values map[string]any `json:"values"` // what was seen, by reference
}

// Validate holds that there is an expression. The plan has checked what is in it.
func (a *Assert) Validate() error {
	if strings.TrimSpace(a.That.Source) == "" {
		return errors.New("that is empty: write what must hold")
	}
	return nil
}

// Check has nothing to look at: before the earlier steps have run, there is
// nothing to compare.
func (a *Assert) Check(context.Context, *task.Env) error { return nil }

// Run judges what the earlier steps found.
func (a *Assert) Run(context.Context, *task.Env) (Asserted, error) {
	values := a.That.Values
	if values == nil {
		values = map[string]any{}
	}
	receipt := Asserted{a.That.Source, a.That.Holds, values}
	if a.That.Holds {
		return receipt, nil
	}
	return receipt, errors.New(a.message() + a.seen())
}

func (a *Assert) message() string {
	what := fmt.Sprintf("%s does not hold", a.That.Source)
	if a.That.Reason != "" {
		what = fmt.Sprintf("%s cannot be judged: %s", a.That.Source, a.That.Reason)
	}
	if a.Message == "" {
		return what
	}
	return fmt.Sprintf("%s: %s", strings.TrimSuffix(a.Message, "."), what)
}

// seen lists the values, "" if there are none.
func (a *Assert) seen() string {
	var seen []string
	for _, reference := range slices.Sorted(maps.Keys(a.That.Values)) {
		value := a.That.Values[reference]
		if text, ok := value.(string); ok {
			value = fmt.Sprintf("%q", text)
		}
		seen = append(seen, fmt.Sprintf("%s is %v", reference, value))
	}
	if len(seen) == 0 {
		return ""
	}
	return "; " + strings.Join(seen, ", ")
}
