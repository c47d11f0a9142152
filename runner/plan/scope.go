package plan

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/medlogistics/phasegate/runner/plan/condition"
	"github.com/medlogistics/phasegate/runner/task"
)

// entry is where a step stands in the plan's order.
type entry struct {
	step  *Step
	phase int
	order int  // among the gates and steps of the plan, or the hooks of the phase
	hook  bool // of a rollback
	gate  bool

	unread bool // its configuration has a mistake, which is reported
}

// scope knows what references may name.
type scope struct {
	steps   map[string]*entry // by id; the first of a repeated one
	all     []*entry          // in the order of the file
	made    []entry           // what all points to
	ids     []string
	env     map[string]*Variable
	names   []string // of the variables
	phases  []string
	blamed  map[string]bool // undeclared variables that are reported
	unknown map[string]bool // steps that there are not, and that are reported
	fields  map[reflect.Type][]task.Field
	receipt map[reflect.Type]map[string]condition.Kind

	conditions int // bytes of those that were checked
}

func newScope(p *Plan) *scope {
	s := &scope{
		steps: make(map[string]*entry), env: map[string]*Variable{}, blamed: map[string]bool{}, unknown: map[string]bool{},
		fields: map[reflect.Type][]task.Field{}, receipt: map[reflect.Type]map[string]condition.Kind{},
	}
	for i := range p.Env {
		s.env[p.Env[i].Name] = &p.Env[i]
		s.names = append(s.names, p.Env[i].Name)
	}
	count := 0
	for i := range p.Phases {
		count += len(p.Phases[i].Gates) + len(p.Phases[i].Steps) + len(p.Phases[i].Rollback)
	}
	s.made, s.all, s.ids = make([]entry, 0, count), make([]*entry, 0, count), make([]string, 0, count)
	order := 0
	for i := range p.Phases {
		phase := &p.Phases[i]
		s.phases = append(s.phases, phase.Name)
		for j := range phase.Gates {
			s.add(entry{step: &phase.Gates[j], phase: i, order: order, gate: true})
			order++
		}
		for j := range phase.Steps {
			s.add(entry{step: &phase.Steps[j], phase: i, order: order})
			order++
		}
		for j := range phase.Rollback {
			s.add(entry{step: &phase.Rollback[j], phase: i, order: j, hook: true})
		}
	}
	return s
}

// add keeps the entry. They are made in one piece, as there are many.
func (s *scope) add(made entry) {
	s.made = append(s.made, made)
	e := &s.made[len(s.made)-1]
	s.all = append(s.all, e)
	if _, repeated := s.steps[e.step.ID]; e.step.ID == "" || repeated {
		return
	}
	s.steps[e.step.ID] = e
	s.ids = append(s.ids, e.step.ID)
}

// unreachable says why the step from cannot count on a receipt of the step to,
// or "" if it can.
func (s *scope) unreachable(from, to *entry) string {
	id := fmt.Sprintf("step %s", quote(to.step.ID))
	switch {
	case from == to:
		return id + " refers to itself"
	case to.hook && !(from.hook && from.phase == to.phase):
		return id + " is a rollback hook, which may never run"
	case !from.hook && to.phase > from.phase || from.hook && to.phase > from.phase:
		return fmt.Sprintf("%s comes later, in phase %s", id, quote(s.phases[to.phase]))
	case from.hook == to.hook && to.order > from.order:
		return id + " comes later"
	}
	return ""
}

// receiptFields returns the fields of the receipts of a task.
func (s *scope) receiptFields(spec task.Spec) []task.Field {
	fields, ok := s.fields[spec.Receipt]
	if !ok {
		fields = task.ReceiptFields(spec.Receipt)
		s.fields[spec.Receipt] = fields
	}
	return fields
}

// receiptField returns one of them.
func (s *scope) receiptField(spec task.Spec, key string) (task.Field, bool) {
	fields := s.receiptFields(spec)
	i := slices.IndexFunc(fields, func(f task.Field) bool { return f.Key == key })
	if i < 0 {
		return task.Field{}, false
	}
	return fields[i], true
}

// receiptKinds returns the kinds of the fields of the receipts of a task.
func (s *scope) receiptKinds(spec task.Spec) map[string]condition.Kind {
	kinds, ok := s.receipt[spec.Receipt]
	if !ok {
		kinds = map[string]condition.Kind{}
		for _, f := range s.receiptFields(spec) {
			kinds[f.Key] = kindOf(f.Type)
		}
		s.receipt[spec.Receipt] = kinds
	}
	return kinds
}

func keysOf(fields []task.Field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	return keys
}
