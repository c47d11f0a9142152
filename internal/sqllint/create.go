package sqllint

import "slices"

// create holds the rules for new objects, and takes note of new tables.
func (f *file) create() {
	s := f.stmt[1:].skip("or", "replace", "global", "local", "temporary", "temp", "unlogged")
	switch {
	case s.starts("table"):
		f.createTable(s[1:])
	case s.starts("materialized", "view"):
		f.makes(s[2:])
	case s.starts("unique"), s.starts("index"):
		f.createIndex(s.skip("unique", "index"))
	case s.starts("domain"):
		if i := f.stmt.index("check"); i >= 0 {
			f.report("ban-create-domain-with-constraint", f.stmt[i], "the domain has a constraint of its own")
		}
	}
}

// makes takes note of a new relation, which the tokens name. With IF NOT EXISTS it may
// have been there before, and is in use then.
func (f *file) makes(s tokens) (relation, tokens) {
	name := s.skip("if", "not", "exists")
	r, rest := name.relation()
	if len(name) == len(s) {
		f.created[r.key()] = true
	}
	return r, rest
}

func (f *file) createTable(s tokens) {
	r, rest := f.makes(s)
	f.schema(r)
	if rest.starts("as") || rest.starts("partition") {
		return
	}
	for _, element := range rest.inside().split(",") {
		if _, ok := constraint(element); ok || element.starts("like") || len(element) < 2 {
			continue
		}
		f.columnType(element[1:])
	}
}

func (f *file) createIndex(s tokens) {
	concurrent := s.starts("concurrently")
	s = s.skip("concurrently", "if", "not", "exists")
	on := s.index("on")
	if on < 0 {
		return
	}
	if on == 0 && concurrent {
		f.report("concurrent-index-without-name", f.stmt[0], "the index has no name")
	}
	r, rest := s[on+1:].skip("only").relation()
	if f.existed(r) && !concurrent {
		f.report("require-concurrent-index-creation", f.stmt[0], "writers of %s wait until the index is built", r)
		f.changes = true
	}
	if f.existed(r) && f.stmt.starts("create", "unique") {
		f.report("unique-index-may-fail", f.stmt[1], "the rows of %s may have equal values", r)
	}
	columns := rest.inside().split(",")
	if len(columns) > 3 && !f.stmt.starts("create", "unique") {
		f.report("wide-index", columns[3][0], "the index has %d columns", len(columns))
	}
}

// integers are the types that the keys of a growing table outgrow, and what
// belongs to them.
var (
	integers  = []string{"int", "integer", "int4", "serial", "serial4"}
	smallints = []string{"smallint", "int2", "smallserial", "serial2"}
	serials   = []string{"serial", "serial4", "bigserial", "serial8", "smallserial", "serial2"}
)

// columnType holds the rules for a type, which the tokens begin with.
func (f *file) columnType(s tokens) {
	if len(s) == 0 || !s[0].name() {
		return
	}
	t := s[0]
	switch {
	case slices.Contains(integers, t.text):
		f.report("prefer-bigint-over-int", t, "the column is %s", t.text)
	case slices.Contains(smallints, t.text):
		f.report("prefer-bigint-over-smallint", t, "the column is %s", t.text)
	case t.is("varchar") && s.starts("varchar", "("), s.starts("character", "varying", "("):
		f.report("prefer-text-field", t, "the column has a length")
	case t.is("char"), t.is("bpchar"), t.is("character") && !s.starts("character", "varying"):
		f.report("ban-char-field", t, "the column is of a fixed length")
	case t.is("timestamp") && !s.has("with", "time", "zone"):
		f.report("prefer-timestamptz", t, "the column has no time zone")
	case t.is("json"):
		f.report("prefer-jsonb", t, "the column is json")
	}
	if slices.Contains(serials, t.text) {
		f.report("prefer-identity", t, "the column is %s", t.text)
	}
}

// constraint tells whether the tokens are a table's constraint, with a name or
// without, and returns them without the name.
func constraint(s tokens) (tokens, bool) {
	if s.starts("constraint") && len(s) > 2 {
		s = s[2:]
	}
	ok := s.starts("primary", "key") || s.starts("unique") || s.starts("check") || s.starts("foreign", "key") || s.starts("exclude")
	return s, ok
}
