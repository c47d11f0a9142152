package condition

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// checker gives each node its kind and collects what is wrong.
type checker struct {
	source   string
	ids      map[string]string // step ids by their form as an identifier
	scope    Scope
	problems []Problem
	reads    []read
}

// problem reports a mistake at a node and returns Unknown, so that one mistake
// is reported once and not again by the nodes above.
func (c *checker) problem(n ast.Node, format string, args ...any) Kind {
	c.add(n, Problem{Message: fmt.Sprintf(format, args...)})
	return Unknown
}

func (c *checker) add(n ast.Node, p Problem) {
	from, to := n.Location().From, n.Location().To
	p.Offset, p.Width = byteOffset(c.source, from), max(1, to-from)
	c.problems = append(c.problems, p)
}

func (c *checker) kind(n ast.Node) Kind {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return Number
	case *ast.StringNode:
		return Text
	case *ast.BoolNode:
		return Bool
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.IdentifierNode:
		return c.name(n)
	case *ast.NilNode:
		return c.problem(n, "nil has no place in a condition: a value that is missing never makes it hold")
	case *ast.CallNode, *ast.BuiltinNode:
		return c.problem(n, "a condition has no functions")
	case *ast.ConditionalNode:
		return c.problem(n.Cond, "a condition has no branches: use and, or, not")
	}
	return c.problem(n, "a condition knows only comparisons, arithmetic, and, or, not, and in")
}

func (c *checker) name(n *ast.IdentifierNode) Kind {
	if n.Value == "steps" {
		return c.problem(n, "steps needs a step's id and a field, as in steps.users.failed")
	}
	c.add(n, Problem{
		Message: fmt.Sprintf("%q means nothing here", n.Value), Word: n.Value, Among: []string{"steps", "true", "false"},
		Hint: "write steps.ID.FIELD for a receipt's field, and quotes around a text",
	})
	return Unknown
}

// member checks steps.ID.FIELD, the only use of a dot.
func (c *checker) member(n *ast.MemberNode) Kind {
	field, fieldOK := n.Property.(*ast.StringNode)
	step, stepOK := n.Node.(*ast.MemberNode)
	if !fieldOK || !stepOK {
		if root, ok := n.Node.(*ast.IdentifierNode); ok && root.Value != "steps" {
			return c.name(root)
		}
		return c.problem(n, "write steps.ID.FIELD, as in steps.users.failed")
	}
	id, idOK := step.Property.(*ast.StringNode)
	root, rootOK := step.Node.(*ast.IdentifierNode)
	if rootOK && root.Value != "steps" {
		return c.name(root)
	}
	if !idOK || !rootOK {
		return c.problem(n, "a receipt's field has no further fields: write steps.ID.FIELD")
	}
	return c.receipt(id, field)
}

func (c *checker) receipt(id, field *ast.StringNode) Kind {
	step := id.Value
	if written, ok := c.ids[step]; ok {
		step = written
	}
	fields, problem := c.scope.Receipt(step)
	if problem != nil {
		c.add(id, *problem)
		return Unknown
	}
	kind, ok := fields[field.Value]
	c.reads = append(c.reads, read{step, field.Value, kind})
	if fields == nil {
		return Unknown
	}
	if !ok {
		c.add(field, Problem{
			Message: fmt.Sprintf("the receipt of step %q has no field %q", step, field.Value),
			Word:    field.Value, Among: slices.Sorted(maps.Keys(fields)),
		})
		return Unknown
	}
	return kind
}

func (c *checker) array(n *ast.ArrayNode) Kind {
	for _, item := range n.Nodes {
		if kind := c.kind(item); kind != Text && kind != Unknown {
			return c.problem(item, "a list in a condition holds texts, not %s", kind)
		}
	}
	return ListOf(Text)
}

func (c *checker) unary(n *ast.UnaryNode) Kind {
	kind, want := c.kind(n.Node), Number
	if n.Operator == "!" || n.Operator == "not" {
		want = Bool
	}
	if kind != want && kind != Unknown {
		return c.problem(n, "%s wants %s, not %s", n.Operator, want, kind)
	}
	return want
}

func (c *checker) binary(n *ast.BinaryNode) Kind {
	left, right := c.kind(n.Left), c.kind(n.Right)
	known := left != Unknown && right != Unknown
	switch n.Operator {
	case "&&", "||", "and", "or":
		return c.operands(n, Bool, Bool, left, right)
	case "==", "!=":
		if known && (left != right || !left.Scalar()) {
			return c.problem(n, "%s and %s cannot be compared", left, right)
		}
		return Bool
	case "<", "<=", ">", ">=":
		if known && (left != right || left != Number && left != Text) {
			return c.problem(n, "%s and %s have no order", left, right)
		}
		return Bool
	case "+", "-", "*", "/":
		return c.operands(n, Number, Number, left, right)
	case "contains", "startsWith", "endsWith":
		return c.operands(n, Text, Bool, left, right)
	case "in":
		if known && (left != Text || right != ListOf(Text)) {
			return c.problem(n, "in wants text and a list of texts, not %s and %s", left, right)
		}
		return Bool
	}
	return c.problem(n, "a condition has no operator %s", n.Operator)
}

// operands checks both sides against want and returns what the operator gives.
func (c *checker) operands(n *ast.BinaryNode, want, gives Kind, sides ...Kind) Kind {
	for i, kind := range sides {
		if kind != want && kind != Unknown {
			side := n.Left
			if i == 1 {
				side = n.Right
			}
			return c.problem(side, "%s wants %s on both sides, not %s", n.Operator, want, kind)
		}
	}
	return gives
}

// byteOffset converts the library's positions, which count characters.
func byteOffset(s string, runes int) int {
	offset := 0
	for ; runes > 0 && offset < len(s); runes-- {
		_, size := utf8.DecodeRuneInString(s[offset:])
		offset += size
	}
	return offset
}
