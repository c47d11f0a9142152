package sqllint

import (
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// statement holds every rule against the statement.
func (f *file) statement() {
	s := f.stmt
	f.syntax()
	f.names()
	f.transactions()
	f.settings()
	switch {
	case s.starts("create"):
		f.create()
	case s.starts("alter", "table"):
		f.alterTable()
	case s.starts("alter", "type"):
		f.alterType()
	case s.starts("alter"):
		f.alterOther()
	case s.starts("drop"):
		f.drop()
	case s.starts("truncate"):
		f.truncate()
	case s.starts("reindex"), s.starts("refresh"), s.starts("cluster"), s.starts("vacuum"), s.starts("lock"):
		f.maintain()
	case s.starts("copy"):
		f.copies()
	}
	for _, part := range s.writes() {
		f.write(part)
	}
	f.used()
}

// names holds that no name is cut by the server.
func (f *file) names() {
	for _, t := range f.stmt {
		if t.name() && len(t.text) > 63 {
			f.report("identifier-too-long", t, "the name %s has %d bytes", t.text, len(t.text))
		}
	}
}

// transactions follows those that the file begins and ends itself.
func (f *file) transactions() {
	s := f.stmt
	border := s.starts("start", "transaction") || s.starts("begin") || s.starts("commit") || s.starts("end") ||
		s.starts("rollback") && !s.has("to") || s.starts("abort") || s.starts("prepare", "transaction")
	where := s.concurrently()
	concurrent := where >= 0 && !s.starts("refresh")
	switch {
	case border && !f.outside:
		f.report("transaction-nesting", s[0], "%s in a migration that is run in a transaction", strings.ToUpper(s[0].text))
	case border && (s.starts("begin") || s.starts("start")):
		f.began = &s[0]
	case border && s.starts("prepare"):
		f.began = nil
		f.report("ban-uncommitted-transaction", s[0], "the prepared transaction keeps its locks until somebody commits it")
	case border:
		f.began = nil
	case concurrent && (!f.outside || f.began != nil):
		f.report("ban-concurrent-index-creation-in-transaction", s[where], "CONCURRENTLY in a transaction")
	case f.outside && f.began == nil && !concurrent && (s.starts("create") || s.starts("alter") || s.starts("drop")) && !alone(s):
		f.report("mixed-txmode-none", s[0], "%s would be safer in a transaction", strings.ToUpper(s[0].text))
		f.robust()
	}
}

// alone tells whether PostgreSQL refuses the statement in a transaction.
func alone(s tokens) bool {
	return len(s) > 1 && slices.Contains([]string{"database", "tablespace", "subscription", "system"}, s[1].text)
}

// robust holds that a statement outside of a transaction can be run again.
func (f *file) robust() {
	s := f.stmt
	guarded := s.has("if", "not", "exists") || s.has("if", "exists") || s.starts("create", "or", "replace")
	kinds := []string{"table", "index", "schema", "sequence", "view", "extension"}
	if !guarded && len(s) > 1 && (s.starts("drop") || s.starts("create")) && slices.Contains(kinds, s[1].text) {
		f.report("prefer-robust-stmts", s[0], "%s %s fails when it is run again", strings.ToUpper(s[0].text), strings.ToUpper(s[1].text))
	}
}

// nothing is a time of none, in whichever unit.
var nothing = pattern.Lazy(`^\s*0+(\.0*)?\s*([a-z]+)?\s*$`)

// settings holds that the limits stay.
func (f *file) settings() {
	s := f.stmt
	lasting := s.starts("alter", "system") || s.starts("alter", "database") || s.starts("alter", "role")
	if !s.starts("set") && !s.starts("reset") && !lasting {
		return
	}
	for i, t := range s {
		if !t.is("lock_timeout") && !t.is("statement_timeout") {
			continue
		}
		last := s[len(s)-1]
		if s.has("reset") || i+2 < len(s) && (nothing().MatchString(last.text) || last.is("default")) {
			f.report("require-timeout-settings", t, "%s is turned off", t.text)
		}
	}
}

// truncate finds rows that go all at once.
func (f *file) truncate() {
	s := f.stmt
	rest := s[1:].skip("table", "only")
	if r, _ := rest.relation(); f.existed(r) {
		f.report("ban-truncate", s[0], "every row of %s is deleted", r)
	}
	if i := s.index("cascade"); i >= 0 {
		f.report("ban-truncate-cascade", s[i], "the rows of the tables that refer to it are deleted too")
	}
}

// maintain finds what works on a whole table, or locks it.
func (f *file) maintain() {
	s := f.stmt
	switch {
	case s.starts("reindex") && s.concurrently() < 0:
		f.report("require-concurrent-reindex", s[0], "the index is built anew while writers wait")
	case s.starts("refresh") && !s.has("concurrently") && !s.has("with", "no", "data"):
		f.report("require-concurrent-refresh", s[0], "the view is filled anew while readers wait")
	case s.starts("cluster"):
		f.report("table-rewrite", s[0], "CLUSTER writes the table anew")
	case s.starts("vacuum") && s.deep("full"):
		f.report("table-rewrite", s[0], "VACUUM FULL writes the table anew")
	case s.starts("lock"):
		if r, _ := s[1:].skip("table", "only").relation(); f.existed(r) {
			f.report("lock-table", s[0], "%s is locked", r)
		}
	}
}

// copies finds rows that are expected from whoever runs the statement.
func (f *file) copies() {
	if i := f.stmt.index("from", "stdin"); i >= 0 {
		f.report("ban-copy-from-stdin", f.stmt[i+1], "the rows are expected from the client")
		f.lost = true // those rows may follow
	}
}

// write finds rows that are written together with a change to the schema, or all
// in one go, by a statement or a part of one.
func (f *file) write(s tokens) {
	r, _ := s[1:].skip("from", "into", "only").relation()
	if !f.existed(r) || s.starts("insert") && !s.has("select") {
		return
	}
	if f.changes && !f.outside {
		f.report("backfill-in-transaction", s[0], "rows of %s are written while a change to the schema is open", r)
	}
	switch {
	case s.starts("merge") && s.has("then", "delete"):
		f.report("unbatched-backfill", s[0], "rows of %s are deleted by one statement, however many they are", r)
	case !s.has("where") && (s.starts("update") || s.starts("delete")):
		f.report("unbatched-backfill", s[0], "every row of %s is changed by one statement", r)
	}
}

// used finds enum values that are used where they cannot be yet.
func (f *file) used() {
	if f.outside {
		return
	}
	adds := f.stmt.starts("alter", "type") && f.stmt.has("add", "value")
	for _, t := range f.stmt {
		if t.kind == text && !adds && slices.Contains(f.values, t.text) {
			f.report("enum-value-used-in-transaction", t, "the value '%s' is used in the transaction that adds it", t.text)
		}
	}
}

// lock takes note that a table that was there before is locked entirely.
func (f *file) lock(r relation) {
	if !f.existed(r) {
		return
	}
	f.changes = true
	var others []string
	for _, other := range f.locked {
		if other.key() == r.key() {
			return
		}
		others = append(others, other.name)
	}
	if f.outside {
		return
	}
	if f.locked = append(f.locked, r); len(others) > 0 {
		f.report("several-tables-locked", r.at, "%s is locked while %s still is", r, strings.Join(others, " and "))
	}
}

// schema holds that a table is named with its schema.
func (f *file) schema(r relation) {
	if r.schema == "" && r.name != "" {
		f.report("require-table-schema", r.at, "%s is named without its schema", r)
	}
}
