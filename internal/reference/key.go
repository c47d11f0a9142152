package main

import (
	"encoding"
	"errors"
	"fmt"
	"go/ast"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A key is one key of a configuration, or one field of a receipt, as a user
// writes or reads it.
type key struct {
	name     string
	typ      reflect.Type
	required bool
	value    string // the default as a plan would write it, "" for none
	min, max string // bounds of a number or a duration, "" for none
	example  string // as a plan would write it, "" for none
	doc      string // one line
	keys     []key  // of the struct that it holds, in a list or a map or alone
}

// shape tells how a struct's fields are named: by task.Fields for a
// configuration, by task.ReceiptFields for a receipt.
type shape func(reflect.Type) []task.Field

// keys returns the keys of the struct value v with what their comments say. expr
// is where the type is used, needed for a struct without a name. Its error names
// every field that has no comment.
func (s *source) keys(v reflect.Value, expr ast.Expr, fields shape) ([]key, error) {
	declared, err := s.structOf(v.Type(), expr)
	if err != nil {
		return nil, err
	}
	var keys []key
	var failures []error
	for _, field := range fields(v.Type()) {
		written, doc, err := s.fieldOf(declared, v.Type(), field)
		if err != nil {
			return nil, err
		}
		if written == nil || doc == "" {
			failures = append(failures, fmt.Errorf("%s.%s has no comment", v.Type(), field.Name))
			continue
		}
		tag := v.Type().FieldByIndex(field.Index).Tag
		k := key{
			name: field.Key, typ: field.Type, required: field.Required, doc: doc,
			value: plain(v.FieldByIndex(field.Index)), min: tag.Get("min"), max: tag.Get("max"), example: tag.Get("example"),
		}
		if value, ok := tag.Lookup("default"); ok {
			k.value = value
		}
		if held, ok := holds(field.Type); ok {
			inner := reflect.Zero(held)
			if held == field.Type {
				inner, k.value = v.FieldByIndex(field.Index), ""
			}
			k.keys, err = s.keys(inner, written.Type, fields)
			failures = append(failures, err)
		}
		keys = append(keys, k)
	}
	return keys, errors.Join(failures...)
}

// holds returns the struct that a value of type t holds, alone, in a list or in
// a map, if it holds one that a plan writes key by key.
func holds(t reflect.Type) (reflect.Type, bool) {
	for !isText(t) && t != reflect.TypeFor[task.Spec]() && t != reflect.TypeFor[plan.Config]() {
		switch t.Kind() {
		case reflect.Struct:
			return t, true
		case reflect.Slice, reflect.Map, reflect.Pointer:
			t = t.Elem()
		default:
			return nil, false
		}
	}
	return nil, false
}

// isText tells whether a plan writes a value of type t as one text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
		t == reflect.TypeFor[time.Time]()
}

// words returns the texts that a value of type t may be, nil for any.
func words(t reflect.Type) []string {
	if enum, ok := reflect.TypeAssert[interface{ Words() []string }](reflect.Zero(t)); ok {
		return enum.Words()
	}
	return nil
}

// describe is the type of a key in a user's words, with its bounds.
func (k key) describe() string {
	name := typeName(k.typ)
	if k.min != "" {
		name += ", at least " + k.min
	}
	if k.max != "" {
		name += ", at most " + k.max
	}
	return name
}

// typeName is the type of a value in a user's words.
func typeName(t reflect.Type) string {
	if allowed := words(t); allowed != nil {
		return strings.Join(allowed, ", ")
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[task.Path]():
		return "path"
	case reflect.TypeFor[task.Bytes]():
		return "size"
	case reflect.TypeFor[task.Percent]():
		return "percentage"
	case reflect.TypeFor[task.URL]():
		return "URL"
	case reflect.TypeFor[redact.Secret]():
		return "secret"
	}
	if isText(t) {
		return strings.ToLower(t.Name())
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of " + typeName(t.Elem())
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		return "object"
	}
	return "any value"
}

// plain is a default as it would be written in a plan, "" for a zero value. A
// secret has none.
func plain(v reflect.Value) string {
	if v.IsZero() || v.Type() == reflect.TypeFor[redact.Secret]() {
		return ""
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return duration(value)
	case task.Bytes:
		return size(value)
	case fmt.Stringer:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = plain(v.Index(i))
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		return pairs(v)
	case reflect.Struct:
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// duration is 5m0s written as 5m.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// size is a number of bytes in the largest unit that divides it.
func size(b task.Bytes) string {
	for _, unit := range []struct {
		name string
		size task.Bytes
	}{
		{"TiB", 1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"KiB", 1 << 10},
		{"kB", 1e3},
	} {
		if b%unit.size == 0 {
			return strconv.FormatInt(int64(b/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// pairs is a map's entries in the order of their keys.
func pairs(v reflect.Value) string {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k.String() + ": " + plain(v.MapIndex(k))
	}
	return strings.Join(parts, ", ")
}
