package sqllint

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// commands are the first words of the statements of PostgreSQL 15 to 19, without those
// that say in their second word what they are about. See
// https://www.postgresql.org/docs/current/sql-commands.html.
var commands = strings.Fields(`
	abort analyse analyze begin call checkpoint close cluster comment commit copy deallocate declare delete discard do
	end execute explain fetch grant import insert listen load lock merge move notify prepare reassign refresh reindex
	release repack reset revoke rollback savepoint security select set show start table truncate unlisten update vacuum
	values wait with`)

// objects are the second words of ALTER, CREATE and DROP.
var objects = map[string][]string{
	"alter": strings.Fields(`
		aggregate collation conversion database default domain event extension foreign function group index language large
		materialized operator policy procedural procedure property publication role routine rule schema sequence server
		statistics subscription system table tablespace text trigger type user view`),
	"create": strings.Fields(`
		access aggregate cast collation constraint conversion database default domain event extension foreign function
		global group index language local materialized operator or policy procedural procedure property publication
		recursive role rule schema sequence server statistics subscription table tablespace temp temporary text transform
		trigger trusted type unique unlogged user view`),
	"drop": strings.Fields(`
		access aggregate cast collation conversion database domain event extension foreign function group index language
		materialized operator owned policy procedural procedure property publication role routine rule schema sequence
		server statistics subscription table tablespace text transform trigger type user view`),
}

// syntax finds what no server could read, as far as that is told by how a statement
// begins and by what is left open in it. Behind a quote that is not closed, it
// says nothing more: everything there may be meant otherwise.
func (f *file) syntax() {
	if f.lost {
		return
	}
	f.begins()
	var open []token
	for _, t := range f.stmt {
		switch {
		case t.open:
			f.lost = true
			f.report("syntax-error", t, "the quote is not closed")
			return
		case t.is("("):
			open = append(open, t)
		case t.is(")") && len(open) == 0:
			f.report("syntax-error", t, "nothing opens this parenthesis")
			return
		case t.is(")"):
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		f.report("syntax-error", open[len(open)-1], "the parenthesis is not closed")
	}
}

// begins holds that there is a statement of this name.
func (f *file) begins() {
	s := f.stmt
	kinds, twoWords := objects[s[0].text]
	switch {
	case s[0].is("("), s[0].open: // around a SELECT; or reported already
	case s[0].kind != word:
		f.report("syntax-error", s[0], "no statement begins so")
	case !twoWords && !slices.Contains(commands, s[0].text):
		f.report("syntax-error", s[0], "there is no statement %s", strings.ToUpper(s[0].text))
	case twoWords && (len(s) == 1 || s[1].kind != word):
		f.report("syntax-error", s[0], "%s says not what", strings.ToUpper(s[0].text))
	case twoWords && !slices.Contains(kinds, s[1].text):
		f.report("syntax-error", s[1], "there is no statement %s %s", strings.ToUpper(s[0].text), strings.ToUpper(s[1].text))
	}
}

// actions are the first words of what ALTER TABLE does. See
// https://www.postgresql.org/docs/current/sql-altertable.html.
var actions = strings.Fields(`
	add alter attach cluster detach disable drop enable force inherit merge no not of options owner rename replica reset set split
	validate`)

// knownAction holds that an action of ALTER TABLE is one.
func (f *file) knownAction(action tokens) {
	switch {
	case f.lost, len(action) == 0:
	case action[0].kind != word:
		f.report("syntax-error", action[0], "no action of ALTER TABLE begins so")
	case !slices.Contains(actions, action[0].text):
		f.report("syntax-error", action[0], "ALTER TABLE has no action %s", strings.ToUpper(action[0].text))
	}
}

// readable holds that comments are closed, and that the file is text.
func (f *file) readable(comments []comment) {
	for _, c := range comments {
		if c.open && !f.lost {
			f.add("syntax-error", c.pos, "the comment is not closed")
		}
	}
	for i, r := range f.src {
		if _, size := utf8.DecodeRuneInString(f.src[i:]); r == 0 || r == utf8.RuneError && size == 1 {
			f.add("syntax-error", i, "the file is not text in UTF-8")
			return
		}
	}
}
