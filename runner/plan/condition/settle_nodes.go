package condition

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// parts returns the operands of n that are true or false themselves, one for a
// negation and otherwise two, or nil.
func (f *facts) parts(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return []ast.Node{n.Node}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and", "||", "or":
			return []ast.Node{n.Left, n.Right}
		case "==", "!=":
			if f.boolean(n.Left) && f.boolean(n.Right) {
				return []ast.Node{n.Left, n.Right}
			}
		}
	}
	return nil
}

// boolean tells whether n is true or false.
func (f *facts) boolean(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BoolNode:
		return true
	case *ast.UnaryNode:
		return n.Operator == "!" || n.Operator == "not"
	case *ast.BinaryNode:
		return !slices.Contains([]string{"+", "-", "*", "/"}, n.Operator)
	}
	_, kind := f.field(n)
	return kind == Bool
}

// field returns the name and the kind of the receipt's field that n is.
func (f *facts) field(n ast.Node) (string, Kind) {
	member, ok := n.(*ast.MemberNode)
	if !ok {
		return "", Unknown
	}
	name, _ := member.Property.(*ast.StringNode)
	step, _ := member.Node.(*ast.MemberNode)
	if name == nil || step == nil {
		return "", Unknown
	}
	id, _ := step.Property.(*ast.StringNode)
	for _, r := range f.reads {
		if id != nil && r.field == name.Value && identifier(r.step) == identifier(id.Value) {
			return r.String(), r.kind
		}
	}
	return "", Unknown
}

// A comparison is one of a field with constants.
type comparison struct {
	field    string
	kind     Kind
	operator string
	values   []value
}

// mirrored are the operators that say the same with their sides exchanged.
var mirrored = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// compared reads n as a comparison of a field with constants.
func (f *facts) compared(n ast.Node) (comparison, bool) {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return comparison{}, false
	}
	c := comparison{operator: b.Operator}
	if list, isList := b.Right.(*ast.ArrayNode); isList && b.Operator == "in" {
		c.field, c.kind = f.field(b.Left)
		for _, item := range list.Nodes {
			v, kind := constant(item)
			if kind != Text {
				return comparison{}, false
			}
			c.values = append(c.values, v)
		}
		return c, c.kind == Text
	}
	field, other := b.Left, b.Right
	if c.field, c.kind = f.field(field); c.kind == Unknown {
		field, other, c.operator = b.Right, b.Left, mirrored[b.Operator]
		c.field, c.kind = f.field(field)
	}
	v, kind := constant(other)
	c.values = []value{v}
	ordered := c.operator == "==" || c.operator == "!=" || kind == Number && mirrored[c.operator] != ""
	return c, ordered && kind != Unknown && kind == c.kind
}

// holds answers the comparison for what the field is.
func (c comparison) holds(v value) bool {
	switch to := c.values; c.operator {
	case "==", "in":
		return slices.Contains(to, v)
	case "!=":
		return !slices.Contains(to, v)
	case "<":
		return v.number < to[0].number
	case "<=":
		return v.number <= to[0].number
	case ">":
		return v.number > to[0].number
	}
	return v.number >= c.values[0].number
}
