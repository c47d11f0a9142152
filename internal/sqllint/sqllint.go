// Package sqllint finds what the text of a migration tells about how it will go
// in production: locks that keep the application out, rewrites of whole tables,
// data that goes, clients that break. It knows neither the size of a table nor
// the version of the server; what a statement really does, a rehearsal shows.
//
// The rules are those of squawk, strong_migrations and Atlas that text can tell,
// by squawk's names where it has one. Of mistakes in the language they find those that
// show in how a statement begins and in what is left open in it. The limits that
// schema/apply sets itself, and its way of taking up a file where it was interrupted,
// are taken for given.
package sqllint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A Level is how bad a finding is.
type Level string

// An error is dangerous where the application runs or the table is large; a
// warning is worth a thought.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// A Finding is something that a rule found.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Rule    string `json:"rule"`
	Level   Level  `json:"level"`
	Message string `json:"message"` // what the statement does
	Advice  string `json:"advice"`  // what to do instead
}

// String is the finding on one line, without the advice.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s [%s]", f.File, f.Line, f.Column, f.Level, f.Message, f.Rule)
}

// A Linter reads migrations in the order in which they are applied, and
// remembers what later ones depend on. The zero value is ready.
type Linter struct {
	checks    map[string]string // constraint that a column is not null: by table and name, table and column
	validated map[string]bool   // by table and column: such a constraint is validated
}

// A file is the migration being read.
type file struct {
	*Linter
	name, src string
	outside   bool            // of a transaction
	created   map[string]bool // tables, by schema and name, that the file itself makes: nobody uses them yet
	unchecked map[string]bool // constraints that the file adds without validation
	locked    []relation      // tables that were there before and that it locks entirely
	changes   bool            // whether it has changed the schema of one
	began     *token          // the begin of a transaction that is open
	values    []string        // that it adds to enums
	lost      bool            // what follows is no SQL, or not to be told from it
	stmt      tokens
	findings  []Finding
}

// txmode is Atlas's directive, in the file's header.
var txmode = pattern.Lazy(`(?m)\A(?:--.*\n)*?--\s*atlas:txmode\s+none\s*$`)

// A Note is what another analyzer has found under one of the rules: it becomes a
// finding unless the rule has found the same statement itself.
type Note struct {
	Pos     int // in the file, in bytes
	Rule    string
	Message string
}

// File lints one migration, by the name under which it is to be reported. The
// findings are in the order of the text, those of others among them.
func (l *Linter) File(name, src string, notes ...Note) []Finding {
	f := l.open(name, src)
	all, comments := lex(src)
	ignores := f.directives(comments)
	end := 0
	for _, stmt := range statements(all) {
		before := len(f.findings)
		f.stmt = stmt
		f.statement()
		last := stmt[len(stmt)-1].pos
		f.take(notes, before, end, last)
		f.ignore(before, ignores, end, last)
		end = last
	}
	f.readable(comments)
	if f.began != nil {
		f.report("ban-uncommitted-transaction", *f.began, "a transaction is begun and not ended")
	}
	f.unused(ignores)
	slices.SortStableFunc(f.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule))
	})
	return f.findings
}

// take adds the notes between the two positions under rules that have no finding
// from the index on.
func (f *file) take(notes []Note, from, begin, end int) {
	for _, n := range notes {
		known := slices.ContainsFunc(f.findings[from:], func(found Finding) bool { return found.Rule == n.Rule })
		if n.Pos >= begin && n.Pos <= end && !known {
			f.add(n.Rule, n.Pos, n.Message)
		}
	}
}

// Skip takes note of a migration whose findings nobody wants, such as one that is
// applied already.
func (l *Linter) Skip(name, src string) { l.File(name, src) }

func (l *Linter) open(name, src string) *file {
	if l.checks == nil {
		l.checks, l.validated = map[string]string{}, map[string]bool{}
	}
	return &file{
		Linter: l, name: name, src: src, outside: txmode().MatchString(src),
		created: map[string]bool{}, unchecked: map[string]bool{},
	}
}

// report adds a finding at a token.
func (f *file) report(rule string, at token, format string, args ...any) {
	f.add(rule, at.pos, fmt.Sprintf(format, args...))
}

func (f *file) add(rule string, pos int, message string) {
	r, ok := catalogue[rule]
	if !ok {
		panic("sqllint: no rule " + rule)
	}
	before := f.src[:pos]
	f.findings = append(f.findings, Finding{
		File: f.name, Line: 1 + strings.Count(before, "\n"),
		Column: 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]),
		Rule:   rule, Level: r.Level, Message: message, Advice: r.Advice,
	})
}

// existed tells whether a table was there before the file.
func (f *file) existed(r relation) bool { return r.name != "" && !f.created[r.key()] }
