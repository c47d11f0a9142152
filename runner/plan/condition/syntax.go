package condition

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/file"
)

// syntaxProblem says in a plan's terms what the library says in its own.
func syntaxProblem(source string, err error) Problem {
	var at *file.Error
	if !errors.As(err, &at) {
		return Problem{Width: 1, Message: "this is not an expression"}
	}
	p := Problem{Offset: byteOffset(source, at.From), Width: max(1, at.To-at.From)}
	p.Message, p.Hint = plainWords(at.Message)
	if strings.HasPrefix(at.Message, "literal not terminated") {
		p.Offset = openQuote(source)
	}
	if end := len(strings.TrimRight(source, " \t\n")); p.Offset >= end {
		p.Offset, p.Width = max(0, end-1), 1
	}
	return p
}

func plainWords(message string) (text, hint string) {
	switch {
	case strings.Contains(message, "token EOF"):
		return "the expression ends too early", ""
	case strings.HasPrefix(message, "unexpected token Operator(\"=\")"):
		return `unexpected "="`, "compare with =="
	case strings.HasPrefix(message, `unexpected token Identifier("AND")`):
		return `unexpected "AND"`, "write and"
	case strings.HasPrefix(message, `unexpected token Identifier("OR")`):
		return `unexpected "OR"`, "write or"
	case strings.HasPrefix(message, "unexpected token "):
		_, token, _ := strings.Cut(message, "(")
		return "unexpected " + strings.TrimSuffix(token, ")"), ""
	case strings.HasPrefix(message, "literal not terminated"):
		return "a quote is not closed", ""
	case strings.HasPrefix(message, "unrecognized character"):
		_, char, _ := strings.Cut(message, "'")
		return "unexpected character '" + char, ""
	case strings.Contains(message, "maximum allowed nodes"):
		return "the expression has more than 500 parts", "split it over several gates"
	case strings.HasPrefix(message, "invalid ") && strings.Contains(message, "literal"):
		return "this number cannot be read", "write a decimal number such as 12 or 0.5"
	}
	return "this is not an expression", "write one such as steps.users.failed == 0"
}

// openQuote returns the offset of the quote that is not closed: the library
// reports where the source ends.
func openQuote(source string) int {
	for i := 0; i < len(source); i++ {
		end := quoted(source, i)
		if end >= len(source) {
			return i
		}
		i = end
	}
	return 0
}
