package plan

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/plan/condition"
)

// A judgement is the condition of a gate, and where it stands.
type judgement struct {
	from       *entry
	node       *yaml.Node
	expression *condition.Expression
}

// constant reports a condition that says the same whatever is found, and tells
// whether it is one.
func (c *checker) constant(j judgement) bool {
	warn := func(rule, message, hint string) bool {
		c.at(j.node, rule, "%s", message).warn().hint("%s", hint)
		return true
	}
	const compare = "compare the receipts of earlier steps, "
	never := "this condition never holds, so phase " + quote(c.scope.phases[j.from.phase]) + " is never carried out"
	switch reads := len(j.expression.Steps()) > 0; {
	case !reads && !j.expression.Evaluate(nil).Holds:
		return warn("unreachable-phase", never, compare+"or remove the phase")
	case !reads:
		return warn("constant-condition", "this condition reads no receipt, so it always says the same", compare+"as in steps.users.failed == 0")
	case c.settle() && condition.Never(j.expression):
		return warn("unreachable-phase", never, "nothing that "+fieldList(j.expression.Fields())+" can be makes all of it hold")
	case c.settle() && j.expression.Always():
		return warn("constant-condition", "this condition holds whatever "+fieldList(j.expression.Fields())+" is", "compare it with what only a good state has, or remove the gate")
	}
	return false
}

// together reports two gates of a phase that are never both open. Only receipts of
// steps are compared: those of gates may be others when a gate is asked again.
func (c *checker) together(gates []judgement) {
	byField := map[string][]judgement{}
	for _, j := range gates {
		if c.readsGates(j) {
			continue
		}
		for _, field := range j.expression.Fields() {
			for _, before := range byField[field] {
				if !c.settle() {
					return
				}
				if condition.Never(before.expression, j.expression) {
					c.at(j.node, "unreachable-phase", "this condition and that of gate %s never hold at once, so phase %s is never carried out",
						quote(before.from.step.ID), quote(c.scope.phases[j.from.phase])).
						warn().hint("both compare %s", cut(field)).relate(positionOf(before.node), "the other condition is here")
					return
				}
			}
			byField[field] = append(byField[field], j)
		}
	}
}

// mostTogether is how many gates of a phase are compared with each other.
const mostTogether = 100

// mostSettled is how many times a plan's conditions are looked at in this way:
// hundreds of gates are, and a plan made to take long does not.
const mostSettled = 5000

func (c *checker) settle() bool {
	c.settled++
	return c.settled <= mostSettled
}

func (c *checker) readsGates(j judgement) bool {
	for _, id := range j.expression.Steps() {
		if to := c.scope.steps[id]; to == nil || to.gate {
			return true
		}
	}
	return false
}

func fieldList(fields []string) string {
	if len(fields) > 3 {
		return "these fields"
	}
	return strings.Join(fields, " or ")
}
