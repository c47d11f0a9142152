package plan

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// decoder reads YAML nodes into Go values: the plan's own structs, and the
// tasks' configurations. It reports everything that is wrong and goes on.
type decoder struct {
	*report
	tasks map[string]task.Spec
	names []string // of the tasks, in their order
	dir   string   // that relative paths start from

	// refs resolves references. It is nil where they have no place.
	refs referents

	late     []late          // references to steps that come later
	partial  bool            // a reference was not resolved since this was last cleared
	steps    int             // decoded so far
	absolute map[string]bool // the paths that the plan gives as absolute ones

	// doubtful are the mappings of which a part could not be read: what they
	// lack is not reported.
	doubtful map[*yaml.Node]bool
}

// site says what the node at hand is, for messages.
type site struct {
	what string     // "a phase", "postgres/backup", `"checks"`
	key  *yaml.Node // whose value it is, or nil for a list's item
}

// value decodes n into v. It returns false if something in it is wrong.
func (d *decoder) value(n *yaml.Node, v reflect.Value, c site) bool {
	if n.Kind == yaml.AliasNode {
		d.via = append(d.via, n)
		defer func() { d.via = d.via[:len(d.via)-1] }()
		return d.value(n.Alias, v, c)
	}
	shape := shapeOf(v.Type())
	if shape.class == classPointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), c)
	}
	if isNull(n) {
		return d.noValue(n, c)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.hide(c.key)
		return false // reported by the survey
	}
	if n.Kind == yaml.ScalarNode && shape.class != classTemplate && strings.Contains(n.Value, opening) {
		return d.referring(n, v, shape, c)
	}
	switch shape.class {
	case classConfig:
		return d.config(n, v, c)
	case classVariables:
		return d.variables(n, v, c)
	case classStruct:
		return d.structure(n, v, shape, site{what: cmp.Or(noun(v.Type()), c.name()), key: c.key})
	case classList:
		return d.list(n, v, c)
	case classMap:
		return d.mapping(n, v, c)
	}
	if n.Kind != yaml.ScalarNode {
		return d.wrong(n, c, shape.class)
	}
	return d.scalar(n, v, shape, c)
}

func (d *decoder) noValue(n *yaml.Node, c site) bool {
	if c.key == nil {
		d.at(n, "no-value", "%s is empty", c.what)
		return false
	}
	d.hide(c.key)
	f := d.at(c.key, "no-value", "%s has no value", quote(c.key.Value)).hint("write one, or remove the key")
	if line := d.src.shown(c.key.Line); strings.Contains(line, c.key.Value+": #") {
		f.hint("a comment begins at the #: put the value in quotes if it begins with one")
	}
	if n.Value != "" {
		f.hint("put the word in quotes if it is meant as text")
	}
	return false
}

// wrong reports a node of another kind than the one wanted, which has those keys.
func (d *decoder) wrong(n *yaml.Node, c site, want class, keys ...string) bool {
	is := map[yaml.Kind]string{
		yaml.MappingNode: "keys and values", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value",
	}[n.Kind]
	d.hide(c.key)
	f := d.at(n, "wrong-type", "%s wants %s, not %s", c.name(), want, is)
	switch {
	case want == classList && n.Kind == yaml.ScalarNode:
		f.hint("write [%s], or one item a line after a dash", cut(n.Value))
	case want == classList && len(n.Content) > 0 && strings.HasPrefix(n.Content[0].Value, "-"):
		f.hint("write a space after the dash")
	case want == classList:
		f.hint("begin each item with a dash and a space")
	case len(keys) > 0 && n.Kind == yaml.ScalarNode && c.key != nil:
		f.hint("its keys are %s", strings.Join(keys, ", "))
	}
	return false
}

// name is the key at hand in quotes, or what the item is.
func (c site) name() string {
	if c.key != nil {
		return quote(c.key.Value)
	}
	return c.what
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, c site) bool {
	if n.Kind != yaml.SequenceNode {
		return d.wrong(n, c, classList)
	}
	if v.Type().Elem() == reflect.TypeFor[Step]() {
		if d.steps += len(n.Content); d.steps > MaxSteps {
			d.at(n, "too-large", "a plan has at most %d steps", MaxSteps)
			return false
		}
	}
	ok := true
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		ok = d.value(item, list.Index(i), site{what: "an item of " + c.name()}) && ok
	}
	v.Set(list)
	return ok
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, c site) bool {
	if n.Kind != yaml.MappingNode {
		return d.wrong(n, c, classMap)
	}
	ok := true
	m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for key, value := range pairs(n) {
		element := reflect.New(v.Type().Elem()).Elem()
		ok = d.value(value, element, site{what: quote(key.Value), key: key}) && ok
		m.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), element)
	}
	v.Set(m)
	return ok
}

// pairs yields the keys and values of a mapping. Keys that the survey refused
// are left out.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		var seen map[string]bool
		if len(n.Content) > 2*fewKeys {
			seen = make(map[string]bool, len(n.Content)/2)
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || isMerge(key) || repeated(n, i, seen) {
				continue
			}
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// repeated tells whether the key at index i stands earlier in n.
func repeated(n *yaml.Node, i int, seen map[string]bool) bool {
	if seen == nil {
		return earlier(n, i, nil) != nil
	}
	key := n.Content[i].Value
	defer func() { seen[key] = true }()
	return seen[key]
}

// config keeps the configuration of a step for later.
func (d *decoder) config(n *yaml.Node, v reflect.Value, c site) bool {
	if n.Kind != yaml.MappingNode {
		return d.wrong(n, c, classConfig)
	}
	v.Set(reflect.ValueOf(Config{node: n, via: slices.Clone(d.via)}))
	return true
}

// variables decodes env: a variable without a value is a plain required one.
func (d *decoder) variables(n *yaml.Node, v reflect.Value, c site) bool {
	if n.Kind != yaml.MappingNode {
		return d.wrong(n, c, classVariables)
	}
	ok := true
	list := make(Variables, 0, len(n.Content)/2)
	for key, value := range pairs(n) {
		variable := Variable{Name: key.Value}
		variable.settle(key, key)
		if !isNull(value) {
			right := d.value(value, reflect.ValueOf(&variable).Elem(), site{what: "a variable", key: key})
			variable.doubtful, ok = !right, right && ok
		}
		variable.Pos = positionOf(key)
		list = append(list, variable)
	}
	v.Set(reflect.ValueOf(list))
	return ok
}
