package plan

import (
	"encoding/json"
	"fmt"
	"reflect"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan/condition"
	"github.com/medlogistics/phasegate/runner/task"
)

// Values are what references stand for in a run.
type Values struct {
	Env      Environ
	Run      string                     // the run's id
	Digest   string                     // the plan's digest
	Receipts map[string]json.RawMessage // by step id
}

// A MissingReceiptError says that a reference names a step that left no receipt.
type MissingReceiptError struct {
	File string
	Pos  Position // of the reference
	Step string
}

func (e *MissingReceiptError) Error() string {
	return fmt.Sprintf("%s:%d:%d: step %q left no receipt", e.File, e.Pos.Line, e.Pos.Column, e.Step)
}

// live resolves references when a step's turn has come.
type live struct {
	plan    *Plan
	from    *Step // nil for a probe
	values  Values
	missing *MissingReceiptError
}

func (l *live) resolve(d *decoder, ref *reference, how use) (resolved, bool) {
	switch ref.root {
	case "run":
		return resolved{known: true, text: l.values.Run}, true
	case "plan":
		return resolved{known: true, text: l.values.Digest}, true
	case "env":
		text, ok := l.values.Env.Lookup(ref.name)
		if !ok {
			d.add(how.at.position(ref.nameAt), "unknown-variable", "the variable %s has no value", quote(ref.name))
			return resolved{}, false
		}
		return resolved{known: true, text: text, secret: l.values.Env.isSecret(ref.name)}, true
	}
	return l.receipt(d, ref, how)
}

func (l *live) receipt(d *decoder, ref *reference, how use) (resolved, bool) {
	raw, ok := l.values.Receipts[ref.name]
	if ref.hasFallback && !holds(raw, ref.field) {
		return resolved{known: true, text: ref.fallback}, true
	}
	if !ok || isNothing(raw) {
		if l.missing == nil {
			l.missing = &MissingReceiptError{File: d.src.path, Pos: how.at.position(ref.nameAt), Step: ref.name}
		}
		return resolved{}, false
	}
	wrong := func(format string, args ...any) (resolved, bool) {
		d.add(how.at.position(ref.nameAt), "receipt", "%s", ref.String()+" "+fmt.Sprintf(format, args...))
		return resolved{}, false
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return wrong("cannot be read: the receipt is not an object")
	}
	value, ok := fields[ref.field]
	if !ok {
		return wrong("is not in the receipt")
	}
	step, _, _ := l.plan.Step(ref.name)
	field, ok := l.plan.scope.receiptField(step.Task, ref.field)
	if !ok {
		return wrong("is no field of the receipts of %s", step.Task.Name)
	}
	v := reflect.New(field.Type)
	if err := json.Unmarshal(value, v.Interface()); err != nil {
		return wrong("is not %s", kindOf(field.Type))
	}
	return resolved{known: true, field: v.Elem()}, true
}

// isNothing tells whether a step left no receipt.
func isNothing(receipt json.RawMessage) bool { return len(receipt) == 0 || string(receipt) == "null" }

// holds tells whether the receipt has the field.
func holds(receipt json.RawMessage, field string) bool {
	var fields map[string]json.RawMessage
	return !isNothing(receipt) && json.Unmarshal(receipt, &fields) == nil && fields[field] != nil
}

// after reports the first step behind which the hook comes and that left no
// receipt.
func (l *live) after(d *decoder) {
	for i, id := range l.from.After {
		if isNothing(l.values.Receipts[id]) {
			n := l.from.at("after")
			if n.Kind == yaml.SequenceNode && i < len(n.Content) {
				n = n.Content[i]
			}
			l.missing = &MissingReceiptError{File: d.src.path, Pos: positionOf(n), Step: id}
			return
		}
	}
}

func (l *live) condition(d *decoder, n *yaml.Node, v reflect.Value) bool {
	entry := l.plan.scope.steps[l.from.ID]
	expression, problems := condition.Compile(n.Value, &conditionScope{static: &static{scope: l.plan.scope, from: entry}, d: d})
	for _, p := range problems {
		d.add(d.src.inside(n).position(p.Offset), "condition", "%s", p.Message)
	}
	if expression == nil {
		return false
	}
	v.Set(reflect.ValueOf(expression.Evaluate(l.values.Receipts)))
	return true
}

// Instance returns the step's task, ready to be checked and run: the task's
// defaults, then the step's configuration with every reference resolved, then
// what the task itself says of it. An error names its place as file:line:col; it
// is, or wraps, a [MissingReceiptError] if a step that is referred to left no
// receipt. Instance may be called concurrently.
func (s Step) Instance(v Values) (task.Instance, error) {
	instance, d, missing := s.resolve(v)
	if missing != nil {
		return nil, missing
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	if err := instance.Validate(); err != nil {
		p := positionOf(s.withKey())
		return nil, fmt.Errorf("%s:%d:%d: %w", s.plan.Path, p.Line, p.Column, err)
	}
	return instance, nil
}

// resolve sets the task's fields to what the plan gives them. What is wrong with
// them is in the decoder.
func (s Step) resolve(v Values) (task.Instance, *decoder, *MissingReceiptError) {
	instance := s.Task.New()
	resolver := &live{plan: s.plan, from: &s, values: v}
	d := s.plan.decoder(resolver)
	resolver.after(d)
	if s.With.node != nil {
		d.via = s.With.via
		config := reflect.ValueOf(instance.Config()).Elem()
		d.structure(s.With.node, config, shapeOf(config.Type()), site{what: s.Task.Name, key: s.withKey()})
	}
	return instance, d, resolver.missing
}

// Secrets returns the values of the step's secret inputs, as far as they can be
// known without the receipts of other steps.
func (s Step) Secrets(environ Environ) []redact.Secret {
	instance, _, _ := s.resolve(Values{Env: environ})
	config := reflect.ValueOf(instance.Config()).Elem()
	var secrets []redact.Secret
	for _, field := range task.Fields(config.Type()) {
		if secret, ok := reflect.TypeAssert[redact.Secret](config.FieldByIndex(field.Index)); ok && secret.Reveal() != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// withKey returns the step's key "with", or that of its task if it has none.
func (s Step) withKey() *yaml.Node {
	if key, _ := s.find("with"); key != nil {
		return key
	}
	return s.at("task")
}

// Target returns the URL of the probe with its references resolved.
func (p Probe) Target(v Values) (string, error) {
	d := p.plan.decoder(&live{plan: p.plan, values: v})
	target := d.target(p)
	return target, d.err()
}

// decoder returns a decoder for a part of the plan, which was checked before.
func (p *Plan) decoder(refs referents) *decoder {
	return &decoder{report: &report{src: p.src}, refs: refs, dir: p.Dir, doubtful: map[*yaml.Node]bool{}, absolute: map[string]bool{}}
}
