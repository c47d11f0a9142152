package plan

import (
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// place ties a value to where it stands in the file.
type place struct {
	// Pos is where the value starts.
	Pos Position

	node *yaml.Node // the mapping
	key  *yaml.Node // the key whose value it is, or nil
}

func (p *place) settle(n, key *yaml.Node) { p.Pos, p.node, p.key = positionOf(n), n, key }

// at returns the value of key, or the start of the mapping if it is not there.
func (p place) at(key string) *yaml.Node {
	if _, value := p.find(key); value != nil {
		return value
	}
	return p.node
}

// has tells whether key is written.
func (p place) has(key string) bool {
	_, value := p.find(key)
	return value != nil
}

// find returns the nodes of key and of its value, or nil.
func (p place) find(key string) (k, v *yaml.Node) {
	if p.node == nil || p.node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		if k := p.node.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key {
			return k, p.node.Content[i+1]
		}
	}
	return nil, nil
}

// structure decodes a mapping into the struct v, key by key.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, s *shape, c site) bool {
	if n.Kind != yaml.MappingNode {
		d.hidden.steps = true
		return d.wrong(n, c, classStruct, s.keys...)
	}
	if located, ok := reflect.TypeAssert[interface{ settle(n, key *yaml.Node) }](v.Addr()); ok {
		located.settle(n, c.key)
	}
	for i, preset := range s.preset {
		if preset.IsValid() {
			v.FieldByIndex(s.fields[i].Index).Set(preset)
		}
	}
	ok, understood := true, false
	found := make([]bool, len(s.fields))
	fallen := d.fallen(n, v)
	for key, value := range pairs(n) {
		i, known := s.index[key.Value]
		if empty, is := fallen[key]; is {
			ok = false
			if known {
				found[i] = true
			}
			if empty != nil {
				d.at(key, "unknown-key", "unknown key %s for %s", quote(key.Value), c.what).hint("indent it, with what follows, below %s", quote(empty.Value))
			}
			continue
		}
		if !known {
			ok = false
			if near := d.unknownKey(n, key, value, v, s, c); near >= 0 {
				found[near] = true // misspelled, so not missing as well
			}
			continue
		}
		found[i], understood = true, true
		ok = d.field(n, value, v.FieldByIndex(s.fields[i].Index), s.bounds[i], site{what: c.what, key: key}) && ok
	}
	if step, is := reflect.TypeAssert[*Step](v.Addr()); is {
		d.hidden.steps = d.hidden.steps || step.ID == ""
	}
	if is := v.Type() == reflect.TypeFor[Step](); is && !ok && !understood {
		return false // something else stands in the place of a step
	}
	return d.required(n, s, found, c) && ok && !merges(n)
}

// field decodes the value of one key of the mapping n.
func (d *decoder) field(n, value *yaml.Node, v reflect.Value, b bounds, c site) bool {
	before := d.partial
	d.partial = false
	ok, unknown := d.value(value, v, c), d.partial
	d.partial = before || unknown
	if !ok {
		if v.IsZero() {
			d.doubtful[n] = true
		}
		return false
	}
	if unknown || b == (bounds{}) {
		return true
	}
	if reason := b.excluded(v); reason != "" {
		d.at(value, "out-of-range", "%s%s", c.name(), reason)
		return false
	}
	return true
}

// required reports the keys that must be there and are not.
func (d *decoder) required(n *yaml.Node, s *shape, found []bool, c site) bool {
	at := c.key
	if at == nil {
		at = n
	}
	var missing []string
	for i, f := range s.fields {
		if f.Required && !found[i] {
			missing = append(missing, quote(f.Key))
		}
	}
	switch {
	case len(missing) == 0 || merges(n):
		return true
	case len(missing) == 1:
		d.at(at, "missing-key", "%s needs the key %s", c.what, missing[0])
	default:
		d.at(at, "missing-key", "%s needs the keys %s", c.what, strings.Join(missing, ", "))
	}
	return false
}

// unknownKey reports a key that the struct does not have. It returns the index
// of the field that was probably meant, or -1.
func (d *decoder) unknownKey(n, key, value *yaml.Node, v reflect.Value, s *shape, c site) int {
	d.doubtful[n] = true
	if t := v.Type(); t == reflect.TypeFor[Plan]() || t == reflect.TypeFor[Phase]() {
		d.hidden.steps = d.hidden.steps || value.Kind == yaml.SequenceNode
		d.hidden.env = d.hidden.env || value.Kind == yaml.MappingNode
	}
	f := d.at(key, "unknown-key", "unknown key %s for %s", quote(key.Value), c.what)
	if name, rest, cuts := cutWord(key.Value); cuts && isNull(value) && slices.Contains(s.keys, name) && !(place{node: n}).has(name) {
		f.hint("write %s", quote(name+": "+rest))
		return s.index[name]
	}
	if v.Type() == reflect.TypeFor[Step]() && len(n.Content) == 2 && value.Kind == yaml.MappingNode {
		d.named(f, key.Value)
		return -1
	}
	if v.Type() == reflect.TypeFor[Step]() && slices.Contains(calledElsewhere(), key.Value) && !(place{node: n}).has("task") {
		f.hint("a step says what it does with the key %s", quote("task"))
		return s.index["task"]
	}
	if meant := d.suggest(key.Value, s.keys); meant != "" && !(place{node: n}).has(meant) {
		f.hint("did you mean %s?", quote(meant))
		return s.index[meant]
	}
	if owner := d.ownerOf(key.Value, v); owner != "" {
		f.hint("%s", owner)
		return -1
	}
	if f.Hint = d.didYouMean(key.Value, s.keys); len(s.keys) == 0 {
		f.hint("%s has no keys", c.what)
	}
	return -1
}

// named has the finding about a step that is written below its name, or below
// its task's, say how it is written.
func (d *decoder) named(f *finding, name string) {
	f.hint("write id: %s, and the keys below it beside that", cut(name))
	if _, is := d.tasks[name]; is {
		f.hint("write an id, task: %s, and the keys below it under with", name)
	}
}

// cutWord cuts a text between brackets that lacks the colon after its key, or the
// space behind it.
func cutWord(text string) (name, rest string, cuts bool) {
	i := strings.IndexAny(text, " :")
	if i < 0 {
		return text, "", false
	}
	return text[:i], strings.TrimLeft(text[i:], " :="), true
}

// calledElsewhere are the names that others give to what is a step's task here.
func calledElsewhere() []string { return []string{"uses", "run", "action", "module"} }

// noun is what messages call a part of a plan, or "".
func noun(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Plan]():
		return "a plan"
	case reflect.TypeFor[Variable]():
		return "a variable"
	case reflect.TypeFor[Contact]():
		return "a contact"
	case reflect.TypeFor[Probe]():
		return "a probe"
	case reflect.TypeFor[Phase]():
		return "a phase"
	case reflect.TypeFor[Step]():
		return "a step"
	case reflect.TypeFor[Retry]():
		return "retry"
	}
	return ""
}

// ownerOf tells where a key belongs that stands in the wrong place.
func (d *decoder) ownerOf(key string, v reflect.Value) string {
	if step, ok := reflect.TypeAssert[*Step](v.Addr()); ok {
		if spec, found := d.tasks[step.taskName()]; found {
			if _, found := shapeOf(spec.Config).index[key]; found {
				return "it belongs to with, as a key of " + spec.Name
			}
		}
	}
	for _, t := range []reflect.Type{reflect.TypeFor[Plan](), reflect.TypeFor[Phase](), reflect.TypeFor[Step]()} {
		if _, found := shapeOf(t).index[key]; found && t != v.Type() {
			return "it is a key of " + noun(t)
		}
	}
	return ""
}

// taskName returns the name of the step's task as it is written.
func (s *Step) taskName() string {
	if n := s.at("task"); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}
