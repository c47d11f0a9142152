package task

// A Condition is the type of a configuration key that holds an expression over
// the receipts of earlier steps, such as
//
//	steps.users.success_rate == 1 && steps.users.failed == 0
//
// The plan checks the expression before anything runs. When the step's turn
// comes, the expression is evaluated and the task finds the outcome here.
type Condition struct {
	Source string         // as written in the plan
	Holds  bool           // true only if every value was there and the expression is true
	Reason string         // why it could not be evaluated; empty if it could
	Values map[string]any // what was seen, by reference such as "steps.users.failed"
}

// UnmarshalText takes the expression from a plan.
func (c *Condition) UnmarshalText(text []byte) error {
	c.Source = string(text)
	return nil
}
