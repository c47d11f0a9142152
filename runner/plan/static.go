package plan

import (
	"fmt"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan/condition"
	"github.com/medlogistics/phasegate/runner/task"
)

// static resolves references while nothing runs: it checks them, and knows only
// what the plan itself says of its variables.
type static struct {
	scope *scope
	from  *entry // the step that refers; nil for a probe
	needs []string
	wants []string // the same, and the steps that come too late

	judges *judgement // the condition of a gate
}

func (s *static) resolve(d *decoder, ref *reference, how use) (resolved, bool) {
	switch ref.root {
	case "env":
		return s.variable(d, ref, how)
	case "steps":
		return s.receipt(d, ref, how)
	}
	return resolved{}, true
}

func (s *static) variable(d *decoder, ref *reference, how use) (resolved, bool) {
	variable, ok := s.scope.env[ref.name]
	if !ok {
		if !d.hidden.env && !s.scope.blamed[ref.name] {
			f := d.add(how.at.position(ref.nameAt), "unknown-variable", "the variable %s is not declared", quote(ref.name))
			f.Width = runes(ref.name)
			if f.Hint = d.didYouMean(ref.name, s.scope.names); f.Hint == "" {
				f.hint("declare it under env")
			}
			d.mentioned[d.suggest(ref.name, s.scope.names)] = true
		}
		s.scope.blamed[ref.name] = true
		return resolved{}, false
	}
	value := resolved{secret: variable.Secret, of: variable}
	switch {
	case variable.Secret, variable.doubtful:
	case variable.Equals != nil:
		value.known, value.text = true, *variable.Equals
	case variable.Default != nil:
		value.known, value.text = true, *variable.Default
	}
	return value, true
}

// receipt checks a reference to a step. No value is known before the step ran.
func (s *static) receipt(d *decoder, ref *reference, how use) (resolved, bool) {
	wrong := func(offset int, name string, p *condition.Problem, rule string) (resolved, bool) {
		f := d.add(how.at.position(offset), rule, "%s", p.Message)
		if f.Width, f.Hint = runes(name), p.Hint; name == "" {
			f.Width = ref.width
		}
		if p.Word != "" {
			f.Hint = d.didYouMean(p.Word, p.Among)
		}
		s.relate(f, ref.name)
		if rule == "step-order" {
			d.late = append(d.late, late{f, s.from.step.ID, ref.name})
		}
		return resolved{}, false
	}
	if s.from == nil {
		return wrong(ref.offset, ref.String(), &condition.Problem{
			Message: "a probe starts before any step, so it cannot refer to a receipt",
		}, "reference-place")
	}
	spec, rule, problem := s.step(d, ref.name)
	if problem != nil {
		return wrong(ref.nameAt, ref.name, problem, rule)
	}
	if spec.Receipt == nil {
		return resolved{}, false
	}
	field, ok := s.scope.receiptField(spec, ref.field)
	if !ok {
		return wrong(ref.fieldAt, ref.field, &condition.Problem{
			Message: fmt.Sprintf("the receipt of step %s, of %s, has no field %s", quote(ref.name), spec.Name, quote(ref.field)),
			Word:    ref.field, Among: keysOf(s.scope.receiptFields(spec)),
		}, "unknown-field")
	}
	if misfit := s.misfit(d, field, how); misfit != "" {
		return wrong(ref.nameAt, ref.name+"."+ref.field, &condition.Problem{Message: ref.String() + " " + misfit}, "type-mismatch")
	}
	if rule, problem := s.doubt(d, ref, how); problem != nil {
		return wrong(ref.offset, "", problem, rule)
	}
	return resolved{}, true
}

// doubt judges a reference to a step that may have left no receipt, as those that
// a rollback hook refers to: the run may have failed before it.
func (s *static) doubt(d *decoder, ref *reference, how use) (rule string, problem *condition.Problem) {
	to := s.scope.steps[ref.name]
	switch {
	case !s.from.hook || to.phase != s.from.phase:
		if ref.hasFallback {
			return "reference", &condition.Problem{
				Message: "the default is never used: step " + quote(ref.name) + " has run by then", Hint: "write ${{ " + cut(ref.String()) + " }}",
			}
		}
	case ref.hasFallback && how.whole && how.to != nil:
		if bad := d.fallback(ref, how.to); bad != nil {
			return "type-mismatch", &condition.Problem{Message: "the default" + bad.message, Hint: bad.hint}
		}
	case !ref.hasFallback && !slices.Contains(s.from.step.After, ref.name) && !s.misnamed(d):
		return "hook-reference", &condition.Problem{
			Message: "step " + quote(ref.name) + " may not have run when this hook does",
			Hint:    fmt.Sprintf("add after: [%s] to the hook, or a default: ${{ %s || '...' }}", cut(ref.name), cut(ref.String())),
		}
	}
	return "", nil
}

// misnamed tells whether the hook's after has a mistake, which is reported: it may
// be meant to name any step.
func (s *static) misnamed(d *decoder) bool {
	step := s.from.step
	return len(step.After) == 0 && step.has("after") || d.doubtful[step.node] ||
		slices.ContainsFunc(step.After, func(id string) bool {
			to := s.scope.steps[id]
			return to == nil || s.scope.unreachable(s.from, to) != ""
		})
}

// fallback says why the default of a reference is no value of a key of that type.
func (d *decoder) fallback(ref *reference, to reflect.Type) *badValue {
	for to.Kind() == reflect.Pointer {
		to = to.Elem()
	}
	return setText(reflect.New(to).Elem(), shapeOf(to), ref.fallback)
}

func (s *static) misfit(d *decoder, field task.Field, how use) string {
	switch {
	case field.Type == reflect.TypeFor[redact.Secret]():
		return "is a secret, which no receipt keeps"
	case how.to == nil:
		return ""
	case how.whole:
		return misfit(how.to, field.Type)
	case !kindOf(field.Type).Scalar():
		return fmt.Sprintf("is %s, which cannot be part of a text", kindOf(field.Type))
	}
	return ""
}

// step returns the task of the step id, or why its receipt cannot be referred
// to. The task is empty if the step's own is wrong.
func (s *static) step(d *decoder, id string) (spec task.Spec, rule string, problem *condition.Problem) {
	to, ok := s.scope.steps[id]
	if !ok {
		if d.hidden.steps || s.scope.unknown[id] {
			return task.Spec{}, "", nil
		}
		s.scope.unknown[id] = true
		return task.Spec{}, "unknown-step", &condition.Problem{
			Message: fmt.Sprintf("there is no step %s", quote(id)), Word: id, Among: s.scope.ids,
		}
	}
	if !slices.Contains(s.wants, id) {
		s.wants = append(s.wants, id)
	}
	if reason := s.scope.unreachable(s.from, to); reason != "" {
		return task.Spec{}, "step-order", &condition.Problem{Message: reason, Hint: "refer to a step that has run by then"}
	}
	if !slices.Contains(s.needs, id) {
		s.needs = append(s.needs, id)
	}
	return to.step.Task, "", nil
}

// relate adds where the step is to a finding about a reference to it.
func (s *static) relate(f *finding, id string) {
	if to, ok := s.scope.steps[id]; ok && to != s.from {
		f.relate(to.step.Pos, "the step is here")
	}
}

func (s *static) condition(d *decoder, n *yaml.Node, v reflect.Value) bool {
	before := s.scope.conditions
	if s.scope.conditions += len(n.Value); s.scope.conditions > MaxConditions {
		if before <= MaxConditions {
			d.at(n, "too-large", "a plan has at most %d KiB of conditions in all", MaxConditions>>10)
		}
		return false
	}
	receipts := &conditionScope{static: s, d: d}
	expression, problems := condition.Compile(n.Value, receipts)
	if expression != nil && s.from.gate {
		s.judges = &judgement{s.from, n, expression}
	}
	at := d.src.inside(n)
	slices.SortStableFunc(problems, func(a, b condition.Problem) int { return a.Offset - b.Offset })
	for _, p := range problems {
		rule := "condition"
		if p.Message == receipts.message {
			rule = receipts.rule
		}
		f := d.add(at.position(p.Offset), rule, "%s", p.Message)
		f.Hint, f.Width = p.Hint, p.Width
		if p.Word != "" && (f.Hint == "" || d.suggest(p.Word, p.Among) != "") {
			f.Hint = d.didYouMean(p.Word, p.Among)
		}
	}
	v.Set(reflect.ValueOf(task.Condition{Source: n.Value}))
	d.partial = true
	return len(problems) == 0
}

// conditionScope lends the plan's scope to an expression.
type conditionScope struct {
	*static
	d             *decoder
	rule, message string // of the last problem with a step
}

// Receipt implements condition.Scope.
func (s *conditionScope) Receipt(id string) (map[string]condition.Kind, *condition.Problem) {
	spec, rule, problem := s.step(s.d, id)
	if problem != nil {
		s.rule, s.message = rule, problem.Message
		return nil, problem
	}
	if spec.Receipt == nil {
		return nil, nil
	}
	return s.scope.receiptKinds(spec), nil
}
