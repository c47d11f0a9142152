package condition

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// decode reads a receipt. A whole number stays one, so that two large ones that
// differ do not become equal.
func decode(receipt json.RawMessage) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(receipt))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("the receipt is empty")
	}
	for key, value := range fields {
		fields[key] = plain(value)
	}
	return fields, nil
}

func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := value.Int64(); err == nil {
			return int(n)
		}
		n, err := value.Float64()
		if err != nil {
			return nil
		}
		return n
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	}
	return value
}

// arithmeticName cannot be written in an expression.
const arithmeticName = "0arithmetic"

// finite is the patch that has every arithmetic operator done by [arithmetic]:
// 0/0 is not a number, and a value that is none is different from every number,
// so that a gate that asks for a difference would open.
type finite struct{}

func (finite) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || n.Operator != "+" && n.Operator != "-" && n.Operator != "*" && n.Operator != "/" {
		return
	}
	ast.Patch(node, &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: arithmeticName},
		Arguments: []ast.Node{&ast.StringNode{Value: n.Operator}, n.Left, n.Right},
	})
}

var errNotFinite = errors.New("the arithmetic gives no finite number")

func arithmetic(args ...any) (any, error) {
	a, b := float(args[1]), float(args[2])
	var result float64
	switch args[0] {
	case "+":
		result = a + b
	case "-":
		result = a - b
	case "*":
		result = a * b
	case "/":
		result = a / b
	}
	if math.IsNaN(result) || math.IsInf(result, 0) {
		return nil, errNotFinite
	}
	return result, nil
}

// float returns NaN for what is no number, which closes the gate.
func float(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

// reason is why an evaluation failed, without the library's position and excerpt.
func reason(err error) string {
	if errors.Is(err, errNotFinite) {
		return errNotFinite.Error()
	}
	if _, ok := errors.AsType[*file.Error](err); ok {
		return "the receipts do not have the values that the expression needs"
	}
	return err.Error()
}
