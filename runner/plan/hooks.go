package plan

import (
	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// checkAfter holds that only hooks come after something, and that what they name
// is a step that can have run by then.
func checkAfter(c *checker) {
	for _, e := range c.scope.all {
		key, list := e.step.find("after")
		switch {
		case key == nil:
		case !e.hook:
			c.at(key, "after", "%s is for rollback hooks: steps and gates run in their order", quote("after")).hint("remove it")
		default:
			for i, id := range e.step.After {
				c.afterStep(e, itemOf(list, i), id)
			}
		}
	}
}

// afterStep judges one id of a hook's after, which stands at n.
func (c *checker) afterStep(e *entry, n *yaml.Node, id string) {
	to, ok := c.scope.steps[id]
	if !ok {
		if !c.hidden.steps && id != "" && !c.scope.unknown[id] {
			c.scope.unknown[id] = true
			c.at(n, "unknown-step", "there is no step %s", quote(id)).Hint = c.didYouMean(id, c.scope.ids)
		}
		return
	}
	if reason := c.scope.unreachable(e, to); reason != "" {
		c.at(n, "step-order", "%s", reason).hint("name a step that has run by then").
			relate(to.step.Pos, "the step is here")
	}
}

// itemOf returns the node of a list's ith item, or of the list.
func itemOf(list *yaml.Node, i int) *yaml.Node {
	for list.Kind == yaml.AliasNode {
		list = list.Alias
	}
	if list.Kind == yaml.SequenceNode && i < len(list.Content) {
		return list.Content[i]
	}
	return list
}

// checkRetry holds that a step is tried again only if its task allows it.
func checkRetry(c *checker) {
	for _, e := range c.scope.all {
		key, _ := e.step.find("retry")
		spec := e.step.Task
		if key != nil && spec.Config != nil && !spec.Has(task.Retryable) {
			c.at(key, "retry", "%s does not say that it is safe to try again at once", spec.Name).
				hint("remove retry: after a failure the run halts, and a person looks before it goes on")
		}
	}
}
