// Package condition reads and evaluates the boolean expressions of a plan, such
// as
//
//	steps.users.success_rate == 1 && steps.users.failed == 0
//
// They are expressions of github.com/expr-lang/expr, cut down to what a gate
// needs: the receipts of steps, numbers, texts and true or false; the
// comparisons == != < <= > >=; the arithmetic + - * /; && || ! (also written
// and, or, not); "in" over texts; contains, startsWith and endsWith. There are no
// functions. A step's id is written as it is, hyphens included.
//
// An expression is typed by the receipts that it reads, so that a mistake is
// found before anything runs, and it fails closed: a value that is missing or
// is not a number where one is needed never makes it hold.
package condition

import (
	"encoding/json"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/medlogistics/phasegate/runner/task"
)

// The limits keep an expression readable, and its evaluation a matter of
// microseconds.
const (
	MaxLength = 4 << 10 // bytes of source
	MaxNodes  = 500     // operators and operands
)

// A Scope knows the receipts that an expression may read.
type Scope interface {
	// Receipt returns the kinds of the fields of step's receipt, or the reason
	// why an expression may not read it. Both are nil if nothing is known of
	// the receipt, because the step itself is wrong: it is not judged then.
	Receipt(step string) (map[string]Kind, *Problem)
}

// A Problem is a mistake in an expression.
type Problem struct {
	Offset, Width int    // in the source: the byte at which it starts, the characters that it spans
	Message       string // a clause without a final period
	Hint          string // what to do, or empty

	// Word is what was not found Among the names that would have been right,
	// for a suggestion. Both are empty for other mistakes.
	Word  string
	Among []string
}

// An Expression is a condition without a mistake.
type Expression struct {
	source  string
	node    ast.Node // of the source
	program *vm.Program
	reads   []read
}

// A read is one reference to a receipt's field.
type read struct {
	step, field string
	kind        Kind
}

func (r read) String() string { return "steps." + r.step + "." + r.field }

// Compile reads source against the receipts in scope.
func Compile(source string, scope Scope) (*Expression, []Problem) {
	if len(source) > MaxLength {
		return nil, []Problem{{Width: 1, Message: "the expression is longer than 4 KiB", Hint: "split it over several gates"}}
	}
	plain, ids := identifiers(source)
	tree, err := parser.ParseWithConfig(plain, bare())
	if err != nil {
		return nil, []Problem{syntaxProblem(source, err)}
	}
	c := checker{source: source, ids: ids, scope: scope}
	if kind := c.kind(tree.Node); kind != Bool && kind != Unknown {
		c.problem(tree.Node, "the expression gives %s, not true or false", kind)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	program, err := expr.Compile(plain, expr.AsBool(), expr.DisableAllBuiltins(), expr.MaxNodes(MaxNodes),
		expr.Function(arithmeticName, arithmetic), expr.Patch(finite{}))
	if err != nil {
		return nil, []Problem{syntaxProblem(source, err)}
	}
	return &Expression{source: source, node: tree.Node, program: program, reads: c.reads}, nil
}

// Steps returns the ids of the steps whose receipts the expression reads, each
// once, in the order of their first use.
func (e *Expression) Steps() []string {
	var ids []string
	for _, r := range e.reads {
		if !slices.Contains(ids, r.step) {
			ids = append(ids, r.step)
		}
	}
	return ids
}

// Fields returns what the expression reads, as steps.ID.FIELD, each once.
func (e *Expression) Fields() []string {
	var all []string
	for _, r := range e.reads {
		if name := r.String(); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// Evaluate answers the expression with the receipts, by step id. It does not
// hold, and says why, if a receipt or a field of it is not there, or if the
// arithmetic leaves the finite numbers.
func (e *Expression) Evaluate(receipts map[string]json.RawMessage) task.Condition {
	seen := task.Condition{Source: e.source, Values: map[string]any{}}
	steps := map[string]any{}
	decoded := map[string]map[string]any{}
	for _, r := range e.reads {
		if _, ok := decoded[r.step]; !ok {
			fields, err := decode(receipts[r.step])
			if err != nil {
				seen.Reason = "step " + r.step + " left no receipt"
				return seen
			}
			decoded[r.step], steps[r.step], steps[identifier(r.step)] = fields, fields, fields
		}
		value, ok := decoded[r.step][r.field]
		if !ok || !r.kind.fits(value) {
			seen.Reason = r.String() + " is not there, or is not " + r.kind.String()
			return seen
		}
		seen.Values[r.String()] = value
	}
	holds, err := expr.Run(e.program, map[string]any{"steps": steps})
	if err != nil {
		seen.Reason = reason(err)
		return seen
	}
	seen.Holds = holds == true
	return seen
}

// bare returns the library's configuration without its functions.
func bare() *conf.Config {
	config := conf.CreateNew()
	config.MaxNodes = MaxNodes
	for name := range config.Builtins {
		config.Disabled[name] = true
	}
	clear(config.Builtins)
	return config
}
