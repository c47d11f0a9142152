package plan

import (
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// fallen returns the keys of a plan or a step that stand beside an empty key
// instead of below it, as their lines lack the indentation, and the empty key
// itself. The first of them has that key with it: the others are the same mistake.
func (d *decoder) fallen(n *yaml.Node, v reflect.Value) map[*yaml.Node]*yaml.Node {
	if t := v.Type(); t != reflect.TypeFor[Plan]() && t != reflect.TypeFor[Step]() {
		return nil
	}
	var keys map[*yaml.Node]*yaml.Node
	for _, parent := range []string{"env", "with", "retry"} {
		empty, value := place{node: n}.find(parent)
		if empty == nil || !isNull(value) {
			continue
		}
		first := empty
		for key, value := range pairs(n) {
			if isNull(value) || !d.below(parent, key.Value, v) {
				continue
			}
			if keys == nil {
				keys = map[*yaml.Node]*yaml.Node{}
			}
			keys[key], keys[empty], first = first, nil, nil
			d.doubtful[n] = true
		}
	}
	return keys
}

// below tells whether a key of v that it does not have has its place under its
// key parent.
func (d *decoder) below(parent, key string, v reflect.Value) bool {
	if _, own := shapeOf(v.Type()).index[key]; own {
		return false
	}
	var known bool
	switch owner := v.Addr().Interface().(type) {
	case *Plan:
		known = parent == "env" && key == strings.ToUpper(key)
		d.hidden.env = d.hidden.env || known
	case *Step:
		if parent == "retry" {
			_, known = shapeOf(reflect.TypeFor[Retry]()).index[key]
		} else if spec, found := d.tasks[owner.taskName()]; found && parent == "with" {
			_, known = shapeOf(spec.Config).index[key]
		}
	}
	return known
}
