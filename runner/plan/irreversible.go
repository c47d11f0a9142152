package plan

import (
	"github.com/medlogistics/phasegate/runner/task"
)

// final returns the first step that does, in a phase that cannot be taken back,
// what the test asks, or nil.
func (c *checker) final(test func(task.Spec) bool) *entry {
	for _, e := range c.scope.all {
		if !e.hook && !e.gate && c.plan.Phases[e.phase].Irreversible != "" && test(e.step.Task) {
			return e
		}
	}
	return nil
}

// before tells whether a step that does what the test asks comes before e.
func (c *checker) before(e *entry, test func(task.Spec) bool) bool {
	for _, other := range c.scope.all {
		if !other.hook && other.order < e.order && test(other.step.Task) {
			return true
		}
	}
	return false
}

func checkBackup(c *checker) {
	e := c.final(func(s task.Spec) bool { return s.Has(task.Alters) })
	if e == nil || c.before(e, func(s task.Spec) bool { return s.Has(task.Copies) }) {
		return
	}
	c.at(e.step.at("task"), "backup", "no backup is made before this step, which cannot be taken back").warn().
		hint("add a phase before it with a backup").
		relate(positionOf(c.plan.Phases[e.phase].at("irreversible")), "its phase is irreversible")
}

func checkApproval(c *checker) {
	e := c.final(func(s task.Spec) bool { return s.Kind == task.Changes })
	if e == nil || c.before(e, func(s task.Spec) bool { return s.Has(task.Asks) }) {
		return
	}
	phase := &c.plan.Phases[e.phase]
	c.at(phase.at("irreversible"), "approval", "nobody is asked before phase %s, which cannot be taken back", quote(phase.Name)).warn().
		hint("add a gate that asks a person, such as gate/approval").
		relate(positionOf(e.step.at("task")), e.step.Task.Name+" may change something")
}

func checkNothingToTakeBack(c *checker) {
	for i := range c.plan.Phases {
		phase := &c.plan.Phases[i]
		if len(phase.Rollback) > 0 {
			return
		}
		if phase.OnFailure == Rollback {
			c.at(phase.at("on_failure"), "nothing-to-take-back", "neither phase %s nor one before it has a rollback", quote(phase.Name)).warn().
				hint("add rollback, or write on_failure: halt")
		}
	}
}
