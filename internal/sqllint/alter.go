package sqllint

import "slices"

// alterTable holds the rules for each action.
func (f *file) alterTable() {
	s := f.stmt[2:]
	if s.starts("all", "in", "tablespace") {
		f.report("table-rewrite", f.stmt[0], "the tables are moved to another tablespace")
		return
	}
	r, rest := s.skip("if", "exists", "only").relation()
	f.schema(r)
	rest = rest.skip("*")
	for _, action := range rest.split(",") {
		f.knownAction(action)
		f.action(r, action)
	}
	if !onlyWeak(rest) {
		f.lock(r)
	}
}

// onlyWeak tells whether an alter table locks nobody out.
func onlyWeak(actions tokens) bool {
	for _, action := range actions.split(",") {
		if !action.starts("validate") && !action.starts("attach") && !action.has("concurrently") && !action.has("set", "statistics") {
			return false
		}
	}
	return true
}

func (f *file) action(r relation, s tokens) {
	switch {
	case s.starts("add"):
		if c, ok := constraint(s[1:]); ok {
			f.addConstraint(r, s[1:], c)
		} else {
			f.addColumn(r, s[1:].skip("column", "if", "not", "exists"))
		}
	case s.starts("drop", "constraint"):
		f.report("ban-drop-constraint", s[0], "a constraint of %s goes", r)
		f.cascade(s)
	case s.starts("drop"):
		if f.existed(r) {
			f.report("ban-drop-column", s[0], "a column of %s goes", r)
		}
		f.cascade(s)
	case s.starts("alter") && !s.starts("alter", "constraint"):
		f.alterColumn(r, s[1:].skip("column"))
	case s.starts("validate", "constraint") && len(s) > 2:
		f.validate(r, s[2])
	case f.existed(r):
		f.whole(r, s)
	}
}

// whole holds the rules for actions on the table as such.
func (f *file) whole(r relation, s tokens) {
	switch {
	case s.starts("rename", "to"), s.starts("set", "schema"):
		f.report("renaming-table", s[0], "%s gets another name", r)
	case s.starts("rename", "constraint"):
	case s.starts("rename"):
		f.report("renaming-column", s[0], "a column of %s gets another name", r)
	case s.starts("set", "logged"), s.starts("set", "unlogged"), s.starts("set", "tablespace"), s.starts("set", "access", "method"):
		f.report("table-rewrite", s[0], "%s is written anew", r)
	case s.starts("detach", "partition") && !s.has("concurrently") && !s.has("finalize"):
		f.report("require-concurrent-partition-detach", s[0], "%s is locked while a partition is detached", r)
	case s.starts("attach", "partition"):
		if p, _ := s[2:].relation(); f.existed(p) {
			f.report("attach-partition-scan", s[0], "the rows of %s are read", p)
		}
	case s.starts("disable", "trigger"), s.starts("disable", "rule"):
		f.report("ban-disable-trigger", s[0], "triggers of %s are turned off", r)
	}
}

func (f *file) addConstraint(r relation, s, c tokens) {
	name := ""
	if s.starts("constraint") {
		name = s[1].text
	}
	unchecked, indexed := c.has("not", "valid"), c.has("using", "index")
	if unchecked {
		f.unchecked[r.key()+"."+name] = true
	}
	if column := notNull(c); column != "" {
		f.checks[r.key()+"."+name] = r.key() + "." + column
		f.validated[r.key()+"."+column] = f.validated[r.key()+"."+column] || !unchecked
	}
	if !f.existed(r) {
		return
	}
	switch {
	case c.starts("foreign") && !unchecked:
		f.report("adding-foreign-key-constraint", c[0], "every row of %s is checked under a lock", r)
	case c.starts("check") && !unchecked:
		f.report("constraint-missing-not-valid", c[0], "every row of %s is checked under a lock", r)
	case c.starts("unique") && !indexed:
		f.report("disallowed-unique-constraint", c[0], "an index on %s is built under a lock", r)
	case c.starts("primary") && !indexed:
		f.report("adding-primary-key-constraint", c[0], "an index on %s is built under a lock", r)
	case c.starts("exclude"):
		f.report("adding-exclusion-constraint", c[0], "an index on %s is built under a lock", r)
	}
}

// notNull returns the column that a check holds to be not null, and nothing else.
func notNull(c tokens) string {
	if in := c.inside(); c.starts("check") && len(in) == 4 && in[1:].starts("is", "not", "null") {
		return in[0].text
	}
	return ""
}

// validate takes note of a validation.
func (f *file) validate(r relation, name token) {
	key := r.key() + "." + name.text
	if f.unchecked[key] && !f.outside {
		f.report("validate-in-same-transaction", name, "%s is validated in the transaction that adds it", name.text)
	}
	if column, ok := f.checks[key]; ok {
		f.validated[column] = true
	}
}

func (f *file) addColumn(r relation, s tokens) {
	if len(s) < 2 {
		return
	}
	name, definition := s[0], s[1:]
	f.columnType(definition)
	if !f.existed(r) {
		return
	}
	fallback := definition.index("default")
	switch {
	case slices.Contains(serials, definition[0].text), definition.has("as", "identity"):
		f.report("adding-identity-column", name, "%s is written anew to number its rows", r)
	case definition.has("generated") && definition.has("stored"):
		f.report("adding-generated-column", name, "%s is written anew to compute %s", r, name.text)
	case fallback >= 0 && volatile(definition[fallback+1:].expression()):
		f.report("adding-field-with-default", definition[fallback], "%s is written anew to fill in %s", r, name.text)
	case (fallback < 0 || null(definition[fallback+1:])) && definition.has("not", "null") && !definition.has("generated"):
		f.report("adding-required-field", name, "%s has no value in the rows that are there: this fails unless %s is empty", name.text, r)
	}
	if i := definition.index("references"); i >= 0 {
		f.report("adding-foreign-key-constraint", definition[i], "%s refers to another table: both are locked", name.text)
	}
	if i := definition.index("unique"); i >= 0 {
		f.report("disallowed-unique-constraint", definition[i], "an index on %s is built under a lock", r)
	}
	if i := definition.index("primary", "key"); i >= 0 {
		f.report("adding-primary-key-constraint", definition[i], "an index on %s is built under a lock", r)
	}
	if i := definition.index("check"); i >= 0 {
		f.report("constraint-missing-not-valid", definition[i], "every row of %s is checked under a lock", r)
	}
}

// stable are functions that give the same value for all rows of a statement.
var stable = []string{
	"now", "transaction_timestamp", "statement_timestamp", "current_setting", "current_user", "session_user", "lower", "upper",
	"coalesce", "to_timestamp", "make_interval", "make_date", "jsonb_build_object", "jsonb_build_array", "array", "row", "numeric",
	"varchar", "decimal", "char", "bit", "timestamp", "timestamptz", "interval", "time", "cast", "concat", "md5", "repeat", "date_trunc",
}

// expression is a default without the constraints of the column behind it.
func (ts tokens) expression() tokens {
	for _, word := range []string{"constraint", "references", "check", "unique", "primary"} {
		if i := ts.index(word); i >= 0 {
			ts = ts[:i]
		}
	}
	return ts
}

// null tells whether a default is none.
func null(s tokens) bool {
	for s.starts("(") {
		s = s[1:]
	}
	return s.starts("null")
}

// volatile tells whether a default calls a function that may give each row
// another value, as far as is known.
func volatile(s tokens) bool {
	for i := range s {
		if i+1 < len(s) && s[i].name() && s[i+1].is("(") && !slices.Contains(stable, s[i].text) && !reserved(s[i]) {
			return true
		}
	}
	return false
}

func reserved(t token) bool {
	return slices.Contains([]string{"in", "and", "or", "not"}, t.text)
}

func (f *file) alterColumn(r relation, s tokens) {
	if len(s) < 2 {
		return
	}
	name, action := s[0], s[1:]
	switch {
	case action.starts("drop", "not", "null"):
		f.report("ban-drop-not-null", name, "%s may be null from now on", name.text)
	case action.starts("set", "not", "null") && f.existed(r) && !f.validated[r.key()+"."+name.text]:
		f.report("adding-not-nullable-field", name, "every row of %s is read under a lock", r)
	case action.starts("type"), action.starts("set", "data", "type"):
		f.columnType(action.skip("set", "data", "type"))
		if f.existed(r) {
			f.report("changing-column-type", name, "%s gets another type", name.text)
		}
	}
}

func (f *file) cascade(s tokens) {
	if i := s.index("cascade"); i >= 0 {
		f.report("ban-drop-cascade", s[i], "whatever depends on it goes too")
	}
}

func (f *file) alterType() {
	s := f.stmt
	add := s.index("add", "value")
	switch {
	case add >= 0:
		value := s[add+2:].skip("if", "not", "exists")
		if len(value) > 0 {
			f.values = append(f.values, value[0].text)
		}
		if !value.has("before") && !value.has("after") {
			f.report("require-enum-value-ordering", s[add], "the value comes last")
		}
	case s.has("rename", "value"):
		f.report("renaming-enum-value", s[s.index("rename", "value")], "a value gets another name")
	}
}

func (f *file) alterOther() {
	s := f.stmt
	rename := s.index("rename", "to")
	switch {
	case s.starts("alter", "schema") && rename >= 0:
		f.report("renaming-schema", s[rename], "the schema gets another name")
	case s.starts("alter", "view") && rename >= 0, s.starts("alter", "materialized", "view") && rename >= 0:
		f.report("renaming-table", s[rename], "the view gets another name")
	case s.starts("alter", "domain") && s.has("add") && !s.has("not", "valid"):
		f.report("ban-alter-domain-with-add-constraint", s[s.index("add")], "every table with the domain is read")
	}
}

func (f *file) drop() {
	s := f.stmt[1:]
	if len(s) < 2 {
		return
	}
	r, _ := s[1:].skip("if", "exists").relation()
	switch {
	case s.starts("table"):
		if f.existed(r) {
			f.report("ban-drop-table", s[0], "the table %s goes", r)
		}
		f.schema(r)
		f.lock(r)
	case s.starts("schema"):
		f.report("ban-drop-schema", s[0], "the schema %s goes", r)
	case s.starts("database"):
		f.report("ban-drop-database", s[0], "the database %s goes", r)
	case s.starts("owned"):
		f.report("ban-drop-owned", s[0], "everything that belongs to the role goes")
	case s.starts("index") && !s.has("concurrently"):
		f.report("require-concurrent-index-deletion", s[0], "the queries on its table wait")
	}
	f.cascade(s)
}
