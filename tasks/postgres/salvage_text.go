package postgres

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A salvageHeader is the first line of a file of changes.
type salvageHeader struct {
	Format   string         `json:"format"`   // "phasegate-salvage/1"
	Database string         `json:"database"` // to which the changes can be applied
	Replaced string         `json:"replaced"` // in which they were found
	Tables   []salvageTable `json:"tables"`   // in which there may be changes
}

// A salvageTable says how the rows of a table are told from each other.
type salvageTable struct {
	Table   string   `json:"table"`
	Key     []string `json:"key"` // none: the rows are a multiset
	Columns []string `json:"columns"`
	Ignored []string `json:"ignored"` // columns in which a difference alone is no change
	Always  bool     `json:"always"`  // a column is GENERATED ALWAYS AS IDENTITY
}

func appendHeader(b []byte, r SalvageReceipt, pairs []pair) []byte {
	h := salvageHeader{Format: salvageFormat, Database: r.Database, Replaced: r.Replaced, Tables: []salvageTable{}}
	for _, p := range pairs {
		h.Tables = append(h.Tables, salvageTable{p.live.quoted, nonNil(p.key), nonNil(p.columns), p.ignored, p.live.always})
	}
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings only
	}
	return append(append(b, text...), '\n')
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// appendJSON adds the change as a line of JSON. Values are the server's text;
// null is null; bytes that are no UTF-8, in a database without an encoding, are
// an object with their hexadecimal form.
func (c rowChange) appendJSON(b []byte) []byte {
	b = append(b, `{"table":`...)
	b = appendString(b, c.pair.kept.quoted)
	b = append(b, `,"op":"`...)
	b = append(append(b, c.op...), '"')
	if c.op == countRow {
		b = strconv.AppendInt(append(b, `,"was":`...), c.was, 10)
		b = strconv.AppendInt(append(b, `,"count":`...), c.count, 10)
	}
	if len(c.pair.key) > 0 {
		b = c.appendFields(append(b, `,"key":`...), c.either(), c.pair.key)
	}
	if c.old != nil {
		b = c.appendFields(append(b, `,"old":`...), c.old, nil)
	}
	if c.new != nil {
		b = c.appendFields(append(b, `,"new":`...), c.new, nil)
	}
	return append(b, "}\n"...)
}

// either returns a version of the row that has the key.
func (c rowChange) either() [][]byte {
	if c.old != nil {
		return c.old
	}
	return c.new
}

func (c rowChange) appendFields(b []byte, fields [][]byte, only []string) []byte {
	b = append(b, '{')
	first := true
	for i, field := range fields {
		name := c.pair.columns[i]
		if field == nil || only != nil && !slices.Contains(only, name) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, name), ':')
		b = appendValue(b, field)
	}
	return append(b, '}')
}

func appendValue(b, field []byte) []byte {
	if isNull(field) {
		return append(b, "null"...)
	}
	text := unescape(field)
	if !utf8.ValidString(text) {
		b = append(b, `{"hex":"`...)
		b = hex.AppendEncode(b, []byte(text))
		return append(b, `"}`...)
	}
	return appendString(b, text)
}

// appendString adds a string as JSON. Most need nothing but quotes.
func appendString(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // a string
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// unescape reads a field of COPY's text format.
// https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
func unescape(field []byte) string {
	if !slices.Contains(field, '\\') {
		return string(field)
	}
	text := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if field[i] != '\\' || i+1 == len(field) {
			text = append(text, field[i])
			continue
		}
		i++
		if place := strings.IndexByte("btnvfr", field[i]); place >= 0 {
			text = append(text, "\b\t\n\v\f\r"[place])
		} else {
			text = append(text, field[i])
		}
	}
	return string(text)
}

func sqlHead(r SalvageReceipt) string {
	return fmt.Sprintf(`-- What was written to database %[1]s and is not in %[2]s.
-- Every statement changes only what still is as it was; to run this twice does
-- no more than to run it once. If a row cannot be inserted, since another one has
-- its key or a unique value, it fails at the end and changes nothing. Where updates
-- pass unique values on, rows of one table refer to each other, or tables refer to
-- each other in a circle, use postgres/replay instead.
begin;
set local timezone to 'UTC';
set local datestyle to 'ISO';
set local intervalstyle to 'postgres';
set local extra_float_digits to 3;
set local bytea_output to 'hex';
set local standard_conforming_strings to on;
set local client_encoding to 'UTF8';
`+sqlNotes, oneLine(r.Replaced), oneLine(r.Database))
}

func oneLine(name string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(name) }

// appendSQL adds the change as a statement.
func (c rowChange) appendSQL(b []byte) []byte {
	table := c.pair.live.quoted
	switch c.op {
	case insertRow:
		return append(b, c.insertStatement()+";\n"...)
	case updateRow:
		var set []string
		for i, field := range c.new {
			if field != nil {
				set = append(set, quote(c.pair.columns[i])+" = "+sqlValue(field))
			}
		}
		return append(b, "update "+table+" set "+strings.Join(set, ", ")+" where "+c.unchanged()+";\n"...)
	case deleteRow:
		return append(b, "delete from "+table+" where "+c.unchanged()+";\n"...)
	case countRow:
		return c.appendCount(b)
	}
	// Written in both databases: JSON has no line breaks, so it fits a comment.
	b = append(b, "-- changed in both databases, to be decided on by hand: "...)
	return c.appendJSON(b)
}

func (c rowChange) insertion() string {
	var columns, values []string
	for i, field := range c.new {
		columns = append(columns, quote(c.pair.columns[i]))
		values = append(values, sqlValue(field))
	}
	if len(columns) == 0 {
		return " default values"
	}
	overriding := ""
	if c.pair.live.always {
		overriding = " overriding system value"
	}
	return " (" + strings.Join(columns, ", ") + ")" + overriding + " values (" + strings.Join(values, ", ") + ")"
}

// unchanged is the condition that the row still is what it was.
func (c rowChange) unchanged() string {
	return c.hasKey(c.old) + " and " + c.same(c.pair.counted(), c.old)
}

// hasKey is the condition that a row has the key of these values.
func (c rowChange) hasKey(fields [][]byte) string {
	conditions := make([]string, len(c.pair.key))
	for i, name := range c.pair.key {
		conditions[i] = quote(name) + " = " + c.typed(name, c.field(fields, name))
	}
	return strings.Join(conditions, " and ")
}

// typed writes a value as SQL of the column's type. A composite type needs it:
// beside one, the server takes a mere literal for an anonymous row, which it
// cannot read.
func (c rowChange) typed(column string, field []byte) string {
	kind, _, ok := c.pair.live.column(column)
	if !ok {
		return sqlValue(field) // the statement fails, and says that there is no such column
	}
	return "cast(" + sqlValue(field) + " as " + kind + ")"
}

// field returns the value of a column, nil if it was left out.
func (c rowChange) field(fields [][]byte, column string) []byte {
	return fields[slices.Index(c.pair.columns, column)]
}

// same is the condition that a row has these values in the columns. It compares
// what the types' output functions say: not every type knows equality, and a
// cast to text, of a boolean for one, says something else.
func (c rowChange) same(columns []string, fields [][]byte) string {
	values := make([][]byte, len(columns))
	for i, name := range columns {
		values[i] = c.field(fields, name)
	}
	return "row(" + names(columns) + ")::text = " + literal(recordText(values))
}

// recordText is what the server prints for a row of these values.
// https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX
func recordText(fields [][]byte) string {
	var text strings.Builder
	text.WriteByte('(')
	for i, field := range fields {
		if i > 0 {
			text.WriteByte(',')
		}
		if isNull(field) {
			continue
		}
		value := unescape(field)
		if value != "" && !strings.ContainsAny(value, "\"\\(), \t\n\v\f\r") {
			text.WriteString(value)
			continue
		}
		text.WriteString(`"` + strings.NewReplacer(`"`, `""`, `\`, `\\`).Replace(value) + `"`)
	}
	text.WriteByte(')')
	return text.String()
}

// appendCount adds the statement that brings the number of equal rows from what
// it was to what it is to be.
func (c rowChange) appendCount(b []byte) []byte {
	table := c.pair.live.quoted
	same := c.same(c.pair.columns, c.new)
	there := fmt.Sprintf("(select count(*) from only %s where %s) = %d", table, same, c.was)
	if c.count < c.was {
		return fmt.Appendf(b, "delete from only %[1]s where %[2]s and ctid in (select ctid from only %[1]s where %[3]s limit %[4]d);\n",
			table, there, same, c.was-c.count)
	}
	columns, values := "", make([]string, len(c.new))
	for i, name := range c.pair.columns {
		values[i] = c.typed(name, c.new[i])
	}
	if len(values) > 0 { // SQL has no empty list of columns, but a row of defaults for nothing
		columns = " (" + names(c.pair.columns) + ")"
	}
	return fmt.Appendf(b, "insert into %s%s select %s from generate_series(1, %d) where %s;\n",
		table, columns, list(values), c.count-c.was, there)
}

// sqlValue writes a field as SQL.
func sqlValue(field []byte) string {
	if isNull(field) {
		return "null"
	}
	return literal(unescape(field))
}
