package condition

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// mostWork is how many operators and operands are looked at to settle what an
// expression says. Beyond that nothing is claimed.
const mostWork = 1 << 12

// Never tells whether it is proven that no receipts make all the expressions hold
// at once. False is no proof of the contrary.
func Never(all ...*Expression) bool {
	f := facts{domains: map[string]*domain{}}
	for _, e := range all {
		f.reads = append(f.reads, e.reads...)
	}
	for _, e := range all {
		f.learn(e.node)
	}
	return f.tried(func() bool {
		return !slices.ContainsFunc(all, func(e *Expression) bool { return !f.holds(e.node) })
	})
}

// Always tells whether it is proven that the expression holds whatever the fields
// are that it reads. False is no proof of the contrary.
func (e *Expression) Always() bool {
	f := facts{domains: map[string]*domain{}, reads: e.reads}
	f.learn(e.node)
	return !f.opaque && f.tried(func() bool { return !f.holds(e.node) })
}

// facts are what expressions distinguish in the receipts. Of a field that is
// compared with constants, a few values stand for all others. Every other
// comparison is opaque: it may hold or not, the same wherever it is written.
type facts struct {
	reads   []read
	domains map[string]*domain // by field, or by the text of an opaque comparison
	names   []string           // their keys
	opaque  bool               // there is such a comparison
	nodes   int                // that one answer looks at
	now     map[string]value   // one choice
}

// A value is a number, a text, or as 0 and 1 false and true.
type value struct {
	number float64
	text   string
}

// A domain is what a field may be: values that stand for all.
type domain struct {
	kind   Kind
	values []value
}

// tried tells whether all choices of values were tried, and found none of them
// is.
func (f *facts) tried(found func() bool) bool {
	f.now = make(map[string]value, len(f.names))
	work := f.nodes
	for _, name := range f.names {
		d := f.domains[name]
		d.complete()
		if work *= len(d.values); work > mostWork {
			return false
		}
	}
	return !f.some(f.names, found)
}

// some tells whether one of the choices that are left is found.
func (f *facts) some(names []string, found func() bool) bool {
	if len(names) == 0 {
		return found()
	}
	return slices.ContainsFunc(f.domains[names[0]].values, func(v value) bool {
		f.now[names[0]] = v
		return f.some(names[1:], found)
	})
}

// complete adds to the constants of a domain one value for everything that none
// of them is: texts of another content, and the numbers below, between and above.
func (d *domain) complete() {
	slices.SortFunc(d.values, func(a, b value) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.text, b.text))
	})
	d.values = slices.Compact(d.values)
	switch d.kind {
	case Text:
		var other strings.Builder // longer than each
		other.WriteString("other")
		for _, v := range d.values {
			other.WriteString(v.text)
		}
		d.values = append(d.values, value{text: other.String()})
	case Number:
		all := []value{{number: d.values[0].number - 1}}
		for i, v := range d.values {
			if i > 0 {
				all = append(all, value{number: (d.values[i-1].number + v.number) / 2})
			}
			all = append(all, v)
		}
		d.values = append(all, value{number: d.values[len(d.values)-1].number + 1})
	}
}

// learn collects the fields and the values that n distinguishes.
func (f *facts) learn(n ast.Node) {
	f.nodes++
	if _, constant := n.(*ast.BoolNode); constant {
		return
	}
	if parts := f.parts(n); parts != nil {
		for _, part := range parts {
			f.learn(part)
		}
		return
	}
	if c, ok := f.compared(n); ok {
		f.add(c.field, c.kind, c.values...)
		return
	}
	if name, kind := f.field(n); kind == Bool {
		f.add(name, Bool, value{}, value{number: 1})
		return
	}
	f.opaque = true
	f.add(n.String(), Bool, value{}, value{number: 1})
}

func (f *facts) add(name string, kind Kind, values ...value) {
	d := f.domains[name]
	if d == nil {
		d = &domain{kind: kind}
		f.domains[name] = d
		f.names = append(f.names, name)
	}
	d.values = append(d.values, values...)
}

// holds answers n for the present choice.
func (f *facts) holds(n ast.Node) bool {
	if constant, ok := n.(*ast.BoolNode); ok {
		return constant.Value
	}
	if parts := f.parts(n); len(parts) == 1 {
		return !f.holds(parts[0])
	} else if len(parts) == 2 {
		left, right := f.holds(parts[0]), f.holds(parts[1])
		switch n.(*ast.BinaryNode).Operator {
		case "&&", "and":
			return left && right
		case "||", "or":
			return left || right
		case "!=":
			return left != right
		}
		return left == right
	}
	if c, ok := f.compared(n); ok {
		return c.holds(f.now[c.field])
	}
	name, kind := f.field(n)
	if kind != Bool {
		name = n.String()
	}
	return f.now[name].number == 1
}

// largest is up to where a whole number and the next one are numbers of 64 bits.
const largest = 1 << 52

// constant returns the value that n writes down.
func constant(n ast.Node) (value, Kind) {
	switch n := n.(type) {
	case *ast.StringNode:
		return value{text: n.Value}, Text
	case *ast.FloatNode:
		if math.Abs(n.Value) <= largest {
			return value{number: n.Value}, Number
		}
	case *ast.IntegerNode:
		if math.Abs(float64(n.Value)) <= largest {
			return value{number: float64(n.Value)}, Number
		}
	case *ast.UnaryNode:
		if v, kind := constant(n.Node); kind == Number && n.Operator == "-" {
			return value{number: -v.number}, Number
		}
	}
	return value{}, Unknown
}
