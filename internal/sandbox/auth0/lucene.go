package auth0

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A filter tells whether a user matches a query.
type filter func(*user) bool

// parseQuery reads the part of Lucene's syntax that user search v3 documents:
// field:value, field:"a phrase", prefixes with *, ranges, _exists_, AND, OR, NOT
// and parentheses. A bare word looks at name, nickname, username and e-mail.
func parseQuery(q string) (filter, error) {
	p := &queryParser{tokens: queryTokens(q)}
	if len(p.tokens) == 0 {
		return func(*user) bool { return true }, nil
	}
	f, err := p.any()
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("unexpected %s", p.peek())
	}
	return f, nil
}

type queryParser struct {
	tokens []string
	at     int
}

func (p *queryParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *queryParser) next() string {
	token := p.peek()
	p.at++
	return token
}

// any reads terms joined by OR.
func (p *queryParser) any() (filter, error) {
	left, err := p.all()
	for err == nil && p.peek() == "OR" {
		p.next()
		var right filter
		first := left
		right, err = p.all()
		left = func(u *user) bool { return first(u) || right(u) }
	}
	return left, err
}

// all reads terms joined by AND, or by nothing.
func (p *queryParser) all() (filter, error) {
	left, err := p.term()
	for err == nil && !slices.Contains([]string{"", "OR", ")"}, p.peek()) {
		if p.peek() == "AND" {
			p.next()
		}
		var right filter
		first := left
		right, err = p.term()
		left = func(u *user) bool { return first(u) && right(u) }
	}
	return left, err
}

func (p *queryParser) term() (filter, error) {
	switch token := p.next(); {
	case token == "":
		return nil, errors.New("the query ends too early")
	case token == "NOT" || token == "-":
		f, err := p.term()
		return func(u *user) bool { return !f(u) }, err
	case token == "(":
		f, err := p.any()
		if err == nil && p.next() != ")" {
			err = errors.New("missing )")
		}
		return f, err
	case strings.HasSuffix(token, ":"):
		return p.field(strings.TrimSuffix(token, ":"))
	case token == ")" || token == "AND" || token == "OR":
		return nil, fmt.Errorf("unexpected %s", token)
	default:
		matches := matcher(token)
		return func(u *user) bool {
			return matches(u.displayName()) || matches(u.displayNickname()) || matches(u.email) || matches(u.username)
		}, nil
	}
}

// field reads what a field must be: a value, a range, or several in parentheses.
func (p *queryParser) field(name string) (filter, error) {
	token := p.next()
	switch {
	case token == "":
		return nil, fmt.Errorf("no value for %s", name)
	case name == "_exists_":
		return func(u *user) bool { return u.fieldText(token) != "" }, nil
	case token == "(":
		var values []func(string) bool
		for token = p.next(); token != ")"; token = p.next() {
			if token == "" {
				return nil, errors.New("missing )")
			}
			if token != "OR" {
				values = append(values, matcher(token))
			}
		}
		return func(u *user) bool {
			text := u.fieldText(name)
			return slices.ContainsFunc(values, func(m func(string) bool) bool { return m(text) })
		}, nil
	case strings.HasPrefix(token, "[") || strings.HasPrefix(token, "{"):
		within, err := rangeOf(token)
		return func(u *user) bool { return within(u.fieldText(name)) }, err
	}
	matches := matcher(token)
	return func(u *user) bool { return matches(u.fieldText(name)) }, nil
}

// matcher compares without regard to case, as the index of Auth0 does; a star
// at the end matches every continuation.
func matcher(value string) func(string) bool {
	quoted := len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"'
	if quoted {
		value = value[1 : len(value)-1]
	}
	value = strings.ToLower(strings.NewReplacer(`\\`, `\`, `\`, "").Replace(value))
	prefix, open := strings.CutSuffix(value, "*")
	return func(text string) bool {
		for part := range strings.SplitSeq(strings.ToLower(text), "\x00") {
			if part == value && text != "" || !quoted && open && part != "" && strings.HasPrefix(part, prefix) {
				return true
			}
		}
		return false
	}
}

// rangeOf reads "[a TO b]" or "{a TO b}"; a star is an open end.
func rangeOf(token string) (func(string) bool, error) {
	inclusive := token[0] == '['
	low, high, ok := strings.Cut(strings.Trim(token, "[]{}"), " TO ")
	if !ok {
		return nil, fmt.Errorf("no range: %s", token)
	}
	return func(text string) bool {
		if text == "" {
			return false
		}
		above := low == "*" || text > low || inclusive && text == low
		below := high == "*" || text < high || inclusive && (text == high || strings.HasPrefix(text, high))
		return above && below
	}, nil
}

// queryTokens cuts a query into words, fields ("email:"), quoted phrases,
// ranges, parentheses and minus signs.
func queryTokens(q string) []string {
	var tokens []string
	for q = strings.TrimLeft(q, " "); q != ""; q = strings.TrimLeft(q, " ") {
		n := tokenLength(q)
		tokens = append(tokens, q[:n])
		q = q[n:]
	}
	return tokens
}

func tokenLength(q string) int {
	switch q[0] {
	case '(', ')', '-':
		return 1
	case '"':
		return 1 + closing(q[1:], '"')
	case '[':
		return 1 + closing(q[1:], ']')
	case '{':
		return 1 + closing(q[1:], '}')
	}
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case '\\':
			i++
		case ':':
			return i + 1
		case ' ', '(', ')':
			return i
		}
	}
	return len(q)
}

// closing returns the length up to and including an end that is not escaped.
func closing(q string, end byte) int {
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case '\\':
			i++
		case end:
			return i + 1
		}
	}
	return len(q)
}
