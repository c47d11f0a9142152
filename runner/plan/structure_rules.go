package plan

import (
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/task"
)

var (
	nameForm     = pattern.Lazy(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	variableForm = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// longestName keeps names usable as parts of file names.
const longestName = 64

func checkNames(c *checker) {
	check := func(p place, key, name string) {
		if !p.has(key) || c.doubtful[p.node] && name == "" {
			return
		}
		switch {
		case len(name) > longestName:
			c.at(p.at(key), "name", "this name is longer than %d characters", longestName)
		case !nameForm().MatchString(name):
			f := c.at(p.at(key), "name", "%s is not a name", quote(name)).hint("names are lower-case words joined by hyphens")
			if better := proper(name); nameForm().MatchString(better) {
				f.hint("names are lower-case words joined by hyphens: write %s", better)
			}
		}
	}
	check(c.plan.place, "name", c.plan.Name)
	for i := range c.plan.Probes {
		check(c.plan.Probes[i].place, "name", c.plan.Probes[i].Name)
	}
	for i := range c.plan.Phases {
		check(c.plan.Phases[i].place, "name", c.plan.Phases[i].Name)
	}
	for _, e := range c.scope.all {
		check(e.step.place, "id", e.step.ID)
		if !nameForm().MatchString(e.step.ID) {
			c.scope.unknown[proper(e.step.ID)] = true // the name that it is told to take
		}
	}
	for _, v := range c.plan.Env {
		if !variableForm().MatchString(v.Name) {
			c.at(v.key, "name", "%s is not the name of a variable", quote(v.Name)).
				hint("write letters, digits and underscores, such as DATABASE_URL")
		}
	}
}

// proper returns the name that was probably meant.
func proper(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("-_ ./", r) })
	return strings.Join(words, "-")
}

func checkDuplicates(c *checker) {
	check := func(first map[string]place, what, key, name string, p place) {
		if name == "" {
			return
		}
		if before, ok := first[name]; ok {
			c.at(p.at(key), "duplicate-name", "the %s %s is used a second time", what, quote(name)).
				relate(positionOf(before.at(key)), "first used here")
			return
		}
		first[name] = p
	}
	for _, e := range c.scope.all {
		if first := c.scope.steps[e.step.ID]; first != nil && first != e {
			check(map[string]place{e.step.ID: first.step.place}, "id", "id", e.step.ID, e.step.place)
		}
	}
	phases, probes := map[string]place{}, map[string]place{}
	for i := range c.plan.Phases {
		check(phases, "phase name", "name", c.plan.Phases[i].Name, c.plan.Phases[i].place)
	}
	for i := range c.plan.Probes {
		check(probes, "probe name", "name", c.plan.Probes[i].Name, c.plan.Probes[i].place)
	}
}

func checkEmpty(c *checker) {
	if len(c.plan.Phases) == 0 && c.plan.has("phases") && !c.doubtful[c.plan.node] {
		c.at(c.plan.at("phases"), "empty-phase", "the plan has no phases")
	}
	for _, phase := range c.plan.Phases {
		if len(phase.Gates)+len(phase.Steps) == 0 && phase.node != nil && !c.doubtful[phase.node] && !merges(phase.node) {
			c.at(phase.at("name"), "empty-phase", "phase %s has no gates and no steps", quote(phase.Name))
		}
	}
}

func checkGates(c *checker) {
	for _, e := range c.scope.all {
		spec := e.step.Task
		switch {
		case spec.Config == nil:
		case e.gate && spec.Kind == task.Changes:
			c.at(e.step.at("task"), "gate", "a gate only looks, and %s may change something", spec.Name).hint("move the step to steps")
		case !e.gate && spec.Kind == task.Gates:
			c.at(e.step.at("task"), "gate", "%s is a gate", spec.Name).hint("move the step to gates")
		}
	}
}

func checkPromise(c *checker) {
	for _, phase := range c.plan.Phases {
		reason, hooks := phase.has("irreversible"), len(phase.Rollback) > 0
		switch {
		case phase.node == nil || c.doubtful[phase.node] || merges(phase.node):
		case reason && hooks:
			key, _ := phase.find("irreversible")
			c.at(key, "promise", "phase %s has a rollback, so it is not irreversible", quote(phase.Name))
		case reason && strings.TrimSpace(phase.Irreversible) == "":
			c.at(phase.at("irreversible"), "promise", "the reason is missing").hint("say why phase %s cannot be taken back", quote(phase.Name))
		case !reason && !hooks:
			c.promise(phase)
		}
	}
}

func (c *checker) promise(phase Phase) {
	for _, step := range phase.Steps {
		if step.Task.Config != nil && step.Task.Kind == task.Changes {
			c.at(phase.at("name"), "promise", "phase %s changes something and has no rollback", quote(phase.Name)).
				hint(`add rollback, or say why it cannot be taken back: irreversible: "..."`).
				relate(positionOf(step.at("task")), step.Task.Name+" may change something")
			return
		}
	}
}

func checkVariables(c *checker) {
	for _, v := range c.plan.Env {
		fixed, value := v.find("default")
		if fixed == nil {
			fixed, value = v.find("equals")
		}
		switch {
		case v.Secret && fixed != nil:
			c.at(fixed, "literal-secret", "the secret %s has its value in the plan", quote(v.Name)).hint("remove %s", fixed.Value).masked = value
		case v.Default != nil && v.Equals != nil:
			c.at(fixed, "variable", "%s must have one value, so it needs no default", quote(v.Name)).hint("remove default, or equals")
		}
	}
}

func checkUnused(c *checker) {
	for _, v := range c.plan.Env {
		if v.Equals == nil && !c.mentioned[v.Name] && !c.hidden.env && variableForm().MatchString(v.Name) {
			c.at(v.key, "unused-variable", "nothing refers to the variable %s", quote(v.Name)).warn().
				hint("remove it, or write ${{ env.%s }} where it is needed", cut(v.Name))
		}
	}
}
