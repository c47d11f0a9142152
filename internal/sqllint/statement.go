package sqllint

import (
	"cmp"
	"slices"
	"strings"
)

// tokens are a statement, or a part of one.
type tokens []token

// is tells whether t is this keyword, name or mark, not a string.
func (t token) is(what string) bool { return t.kind != text && t.kind != quoted && t.text == what }

// name tells whether t can be one.
func (t token) name() bool { return t.kind == word || t.kind == quoted }

// starts tells whether the tokens begin with these words.
func (ts tokens) starts(words ...string) bool {
	if len(ts) < len(words) {
		return false
	}
	for i, w := range words {
		if !ts[i].is(w) {
			return false
		}
	}
	return true
}

// index is where these words stand one after the other outside of parentheses,
// or -1.
func (ts tokens) index(words ...string) int {
	depth := 0
	for i, t := range ts {
		if depth == 0 && ts[i:].starts(words...) {
			return i
		}
		depth += nesting(t)
	}
	return -1
}

func (ts tokens) has(words ...string) bool { return ts.index(words...) >= 0 }

// deep tells whether the words stand one after the other anywhere.
func (ts tokens) deep(words ...string) bool {
	for i := range ts {
		if ts[i:].starts(words...) {
			return true
		}
	}
	return false
}

// concurrently is where the statement says that it keeps nobody waiting, or -1.
// REINDEX may say so among options, and there that it does not.
func (ts tokens) concurrently() int {
	i := ts.index("concurrently")
	if options := ts[min(1, len(ts)):].inside(); i < 0 && ts.starts("reindex", "(") {
		for _, option := range options.split(",") {
			off := len(option) > 1 && slices.Contains([]string{"false", "off", "0"}, option[1].text)
			if option.starts("concurrently") && !off {
				i = slices.Index(ts, option[0])
			}
		}
	}
	return i
}

// writes are the parts of a statement that write rows: itself, or, where it begins
// with WITH, what is behind that and in the parentheses.
func (ts tokens) writes() []tokens {
	if !ts.starts("with") {
		if ts.writing() {
			return []tokens{ts}
		}
		return nil
	}
	var parts []tokens
	depth, main := 0, false
	for i, t := range ts {
		switch {
		case t.is("(") && ts[i+1:].writing():
			parts = append(parts, ts[i:].inside())
		case depth == 0 && !main && i > 0 && ts[i-1].is(")") && !t.is(",") && !t.is("as"):
			if main = true; ts[i:].writing() {
				parts = append(parts, ts[i:])
			}
		}
		depth += nesting(t)
	}
	return parts
}

// writing tells whether the tokens begin as a statement that writes rows does.
func (ts tokens) writing() bool {
	return ts.starts("update") || ts.starts("delete", "from") || ts.starts("insert", "into") || ts.starts("merge", "into")
}

func nesting(t token) int {
	switch {
	case t.is("("), t.is("["):
		return 1
	case t.is(")"), t.is("]"):
		return -1
	}
	return 0
}

// skip drops each of the words that the tokens go on with, in this order.
func (ts tokens) skip(words ...string) tokens {
	for _, w := range words {
		if ts.starts(w) {
			ts = ts[1:]
		}
	}
	return ts
}

// split cuts at the mark outside of parentheses.
func (ts tokens) split(at string) []tokens {
	var parts []tokens
	depth, begin := 0, 0
	for i, t := range ts {
		if depth == 0 && t.is(at) {
			parts = append(parts, ts[begin:i])
			begin = i + 1
		}
		depth += nesting(t)
	}
	if begin < len(ts) {
		parts = append(parts, ts[begin:])
	}
	return parts
}

// inside is what stands in the first parentheses, without them.
func (ts tokens) inside() tokens {
	begin := slices.IndexFunc(ts, func(t token) bool { return t.is("(") })
	if begin < 0 {
		return nil
	}
	depth := 0
	for i, t := range ts[begin:] {
		if depth += nesting(t); depth == 0 {
			return ts[begin+1 : begin+i]
		}
	}
	return ts[begin+1:]
}

// relation reads a name with a schema or without, and returns what is behind it.
func (ts tokens) relation() (r relation, rest tokens) {
	if len(ts) == 0 || !ts[0].name() {
		return r, ts
	}
	r = relation{name: ts[0].text, at: ts[0]}
	ts = ts[1:]
	for len(ts) > 1 && ts[0].is(".") && ts[1].name() {
		r.schema, r.name, ts = r.name, ts[1].text, ts[2:]
	}
	return r, ts
}

// A relation is the name of a table or whatever may stand beside one.
type relation struct {
	schema, name string
	at           token
}

func (r relation) String() string { return strings.TrimPrefix(r.schema+"."+r.name, ".") }

// key tells relations of the same name in two schemas apart. Where no schema is
// given, it is that in which the server looks unless it is told otherwise.
func (r relation) key() string { return cmp.Or(r.schema, "public") + "." + r.name }

// statements cuts tokens at semicolons. The body of a function in SQL, from
// BEGIN ATOMIC to its END, has semicolons of its own, and so have the commands of a
// rule, which stand in parentheses.
func statements(all []token) []tokens {
	var list []tokens
	depth, begin := 0, 0
	for i, t := range all {
		switch {
		case tokens(all[i:]).starts("begin", "atomic"), depth > 0 && t.is("case"):
			depth++
		case depth > 0 && t.is("end"):
			depth--
		case depth == 0 && t.is(";") && !tokens(all[begin:i]).ruling():
			if i > begin {
				list = append(list, all[begin:i])
			}
			begin = i + 1
		}
	}
	if begin < len(all) {
		list = append(list, all[begin:])
	}
	return list
}

// ruling tells whether the tokens end among the commands of a rule.
func (ts tokens) ruling() bool {
	if !ts.skip("create", "or", "replace").starts("rule") {
		return false
	}
	depth := 0
	for _, t := range ts {
		depth += nesting(t)
	}
	return depth > 0
}
