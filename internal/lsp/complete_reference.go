package lsp

import (
	"strings"

	"github.com/medlogistics/phasegate/runner/plan/outline"
)

// reference offers what may follow typed, which stands behind ${{, or in an
// expression, which refers to steps only.
func (c *completion) reference(typed string, all bool) {
	typed = strings.TrimLeft(typed, " ")
	if strings.ContainsAny(typed, " |'") {
		return
	}
	parts := strings.Split(typed, ".")
	word := parts[len(parts)-1]
	c.replaces(word)
	switch {
	case len(parts) == 1:
		c.roots(all)
	case len(parts) == 2 && parts[0] == "env" && all:
		c.variables()
	case len(parts) == 2 && parts[0] == "steps":
		for _, s := range before(stepsOf(c.root), c.spot) {
			c.add(kindReference, s.id.Text, s.id.Text, s.task, s.node.Find("summary").Word())
		}
	case len(parts) == 3 && parts[0] == "steps":
		c.fields(parts[1])
	case len(parts) == 2 && parts[0] == "run" && all:
		c.add(kindField, "id", "id", "text", "The run's id.")
	case len(parts) == 2 && parts[0] == "plan" && all:
		c.add(kindField, "digest", "digest", "text", digestDoc)
	}
}

const digestDoc = "SHA-256 over the plan and every file that its steps name."

// roots offers what a reference begins with. A probe starts before any step.
func (c *completion) roots(all bool) {
	if all {
		c.add(kindKeyword, "env", "env.", "env.NAME", "A variable that the plan declares under `env`.")
	}
	if c.spot.section != "" {
		c.add(kindKeyword, "steps", "steps.", "steps.ID.FIELD", "A field of an earlier step's receipt.")
	}
	if all {
		c.add(kindKeyword, "run.id", "run.id", "text", "The run's id.")
		c.add(kindKeyword, "plan.digest", "plan.digest", "text", digestDoc)
	}
}

// variables offers those that fit: a secret goes only where it is masked, and
// nothing else goes there.
func (c *completion) variables() {
	secret := c.spot.key != nil && c.spot.value && strings.HasSuffix(c.spot.key.Type, "secret")
	for _, v := range variables(c.root) {
		if c.spot.key == nil || isSecret(v) == secret {
			c.add(kindVariable, v.Key.Text, v.Key.Text, variableType(v), v.Value.Find("summary").Word())
		}
	}
}

// fields offers those of the receipt of the step called id.
func (c *completion) fields(id string) {
	fields, _ := c.guide.receiptOf(before(stepsOf(c.root), c.spot), id)
	for _, f := range fields {
		c.add(kindField, f.Name, f.Name, f.Type, f.Doc)
	}
}

// variableType says of a variable what its value may be.
func variableType(v outline.Pair) string {
	switch {
	case isSecret(v):
		return "secret variable"
	case v.Value.Find("equals") != nil:
		return "text, always " + v.Value.Find("equals").Word()
	case v.Value.Find("default") != nil:
		return "text, default " + v.Value.Find("default").Word()
	}
	return "text, required"
}
