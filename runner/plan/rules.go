package plan

import (
	"regexp"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// A Rule is one kind of finding.
type Rule struct {
	Name string // as it stands in brackets behind a message
	Why  string // one line

	check func(*checker) // nil for what is found in reading
}

// Rules returns every rule. A rule of the plan as a whole is added here, with
// its function; they are carried out in this order.
func Rules() []Rule {
	return append(readingRules(),
		Rule{"name", "names stand in journals, file names and references, so they have one form", checkNames},
		Rule{"duplicate-name", "a name that two things have cannot be referred to", checkDuplicates},
		Rule{"empty-phase", "a phase without gates and steps is a mistake in the plan's making", checkEmpty},
		Rule{"gate", "gates only look, and nothing else waits for somebody", checkGates},
		Rule{"promise", "what changes something can be taken back, or the plan says why not", checkPromise},
		Rule{"variable", "a variable that must have one value needs no default", checkVariables},
		Rule{"reference", "a reference that cannot be resolved would fail in the middle of a run", checkConfigs},
		Rule{"probe", "a probe that cannot ask measures nothing", checkProbes},
		Rule{"unused-variable", "a variable that nothing reads is asked for in vain", checkUnused},
	)
}

// readingRules are the findings of reading a file, of resolving references, and
// of asking the tasks.
func readingRules() []Rule {
	return []Rule{
		{"encoding", "a plan is UTF-8 text", nil},
		{"too-large", "a plan that no person can read cannot be approved", nil},
		{"too-many", "findings beyond the first thousand are counted only", nil},
		{"empty", "a plan says at least its version, name and phases", nil},
		{"syntax", "the file must be YAML", nil},
		{"documents", "a second document would be ignored in silence", nil},
		{"nesting", "what is nested deeply is a mistake or an attack", nil},
		{"alias", "an alias stands for what is written once, and not for itself", nil},
		{"tag", "tags change what a value means without looking like it", nil},
		{"key", "keys are plain words", nil},
		{"merge-key", "merged keys are not where they seem to be", nil},
		{"duplicate-key", "only one of two values could count", nil},
		{"unknown-key", "a key that means nothing is a key misspelled", nil},
		{"missing-key", "without this key there is nothing to do", nil},
		{"no-value", "a key without a value is a line not finished", nil},
		{"wrong-type", "nothing is coerced", nil},
		{"wrong-value", "the value is outside of what the key can take", nil},
		{"out-of-range", "the value is outside of what makes sense", nil},
		{"unknown-version", "a plan of another version means something else", nil},
		{"unknown-task", "a step carries out a task that this program has", nil},
		{"reference-place", "a reference elsewhere would stay as it is written", nil},
		{"unknown-variable", "the plan declares what it reads from outside", nil},
		{"unknown-step", "a reference names a step of the plan", nil},
		{"step-order", "a receipt is there once its step has run", nil},
		{"unknown-field", "a receipt has the fields that its task gives it", nil},
		{"type-mismatch", "a receipt's field fits the key that it is given to", nil},
		{"condition", "a condition that cannot be evaluated would close its gate for good", nil},
		{"task-config", "a task refuses this configuration whenever it would run", nil},
		{"missing-file", "a file that a step reads must be there, as it belongs to the digest", nil},
		{"secret-field", "a secret goes only where it is masked", nil},
		{"literal-secret", "a secret in a plan is a secret no more", nil},
	}
}

var (
	nameForm     = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
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
		case !nameForm.MatchString(name):
			f := c.at(p.at(key), "name", "%s is not a name", quote(name)).hint("names are lower-case words joined by hyphens")
			if better := proper(name); nameForm.MatchString(better) {
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
	}
	for _, v := range c.plan.Env {
		if !variableForm.MatchString(v.Name) {
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
	steps, phases, probes := map[string]place{}, map[string]place{}, map[string]place{}
	for _, e := range c.scope.all {
		check(steps, "id", "id", e.step.ID, e.step.place)
	}
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
		if v.Equals == nil && !c.mentioned[v.Name] && !c.hidden.env && variableForm.MatchString(v.Name) {
			c.at(v.key, "unused-variable", "nothing refers to the variable %s", quote(v.Name)).
				hint("remove it, or write ${{ env.%s }} where it is needed", cut(v.Name)).Severity = Warning
		}
	}
}
