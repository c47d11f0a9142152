package task

import (
	"fmt"
	"reflect"
	"strings"
)

// A Field is one key of a task's configuration or of its receipt.
type Field struct {
	Key      string       // as written in a plan
	Name     string       // as written in Go
	Required bool         // a plan must set it
	Index    int          // of the struct's field
	Type     reflect.Type //
}

// Fields returns the configuration keys of the struct type t, in the order of
// its fields: those that carry a `with` tag. It panics on an exported field
// without one, so that nothing is configurable by accident; `with:"-"` marks one
// that is no key.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		tag, ok := f.Tag.Lookup("with")
		if !ok || tag == "" {
			panic(fmt.Sprintf("%s.%s: an exported field of a task needs a with tag", t, f.Name))
		}
		if tag == "-" {
			continue
		}
		key, option, _ := strings.Cut(tag, ",")
		if option != "" && option != "required" {
			panic(fmt.Sprintf("%s.%s: unknown option %q in the with tag", t, f.Name, option))
		}
		fields = append(fields, Field{
			Key: key, Name: f.Name, Required: option == "required", Index: f.Index[0], Type: f.Type,
		})
	}
	return fields
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
		fields = append(fields, Field{Key: key, Name: f.Name, Index: f.Index[0], Type: f.Type})
	}
	return fields
}
