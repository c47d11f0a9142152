package task

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Field is one key of a task's configuration or of its receipt.
type Field struct {
	Key      string       // as written in a plan
	Name     string       // as written in Go
	Required bool         // a plan must set it
	Held     bool         // it names what a Holder holds, or a Releaser lets go of
	Limit    bool         // it is a duration after which the task gives up
	Index    []int        // of the struct's field, for reflect's FieldByIndex
	Type     reflect.Type //
}

// Fields returns the configuration keys of the struct type t, in the order of
// its fields: those that carry a `with` tag. The keys of an embedded struct with
// an exported name stand among them as if they were written there, so that tasks
// can share keys. It panics on an exported field without a tag, so that nothing
// is configurable by accident; `with:"-"` marks one that is no key. Behind a key,
// "required", "held" and "limit" say what [Field] says of them.
func Fields(t reflect.Type) []Field { return fieldsBelow(t, nil) }

// fieldsBelow returns the keys of a struct that is reached by the index.
func fieldsBelow(t reflect.Type, index []int) []Field {
	var fields []Field
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		at := append(slices.Clone(index), f.Index...)
		tag, ok := f.Tag.Lookup("with")
		if f.Anonymous && !ok {
			fields = append(fields, fieldsBelow(f.Type, at)...)
			continue
		}
		if !ok || tag == "" {
			panic(fmt.Sprintf("%s.%s: an exported field of a task needs a with tag", t, f.Name))
		}
		if tag == "-" {
			continue
		}
		fields = append(fields, field(t, f, tag, at))
	}
	return fields
}

// field reads the tag of a struct's field.
func field(t reflect.Type, f reflect.StructField, tag string, at []int) Field {
	key, options, _ := strings.Cut(tag, ",")
	field := Field{Key: key, Name: f.Name, Index: at, Type: f.Type}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "required":
			field.Required = true
		case "held":
			field.Held = true
		case "limit":
			field.Limit = true
		default:
			panic(fmt.Sprintf("%s.%s: unknown option %q in the with tag", t, f.Name, option))
		}
	}
	return field
}

// ReceiptFields returns the keys of a receipt that a reference may name, by
// their json tags.
func ReceiptFields(t reflect.Type) []Field {
	var fields []Field
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || key == "" || key == "-" {
			continue
		}
		fields = append(fields, Field{Key: key, Name: f.Name, Index: f.Index, Type: f.Type})
	}
	return fields
}
