package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/evidence"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// journalSchema is the file docs/journal.schema.json: an event, and in its
// definitions what status and audit print. What it does not name is let through,
// as a reader does who ignores what a later minor version added.
func (s *source) journalSchema() ([]byte, error) {
	root, err := s.contract(journal.Event{})
	if err != nil {
		return nil, err
	}
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "An event of a phasegate journal, contract " + journal.Contract
	root.Description = "Generated from the Go types by make generate. journal.md says what the events mean."
	types, err := s.constants(reflect.TypeFor[journal.Type]())
	if err != nil {
		return nil, err
	}
	for _, name := range types {
		has := always(journal.Type(name))
		if has == nil {
			return nil, fmt.Errorf("nothing says which fields every event of type %s has", name)
		}
		root.AllOf = append(root.AllOf, &schema{
			If:   &schema{Properties: map[string]*schema{"type": {Const: name}}},
			Then: &schema{Required: has},
		})
	}
	root.Defs = map[string]*schema{}
	for name, v := range map[string]any{"state": journal.State{}, "audit": evidence.Report{}} {
		if root.Defs[name], err = s.contract(v); err != nil {
			return nil, err
		}
	}
	phase := root.Defs["state"].Properties["phases"].Items.Properties["status"]
	phase.Enum = append(phase.Enum, "") // before it starts
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("encode the journal's schema: %w", err)
	}
	return b.Bytes(), nil
}

// always are the fields that every event of a type has, besides those of all.
func always(t journal.Type) []string {
	step := []string{"phase", "step", "task", "kind", "attempt"}
	switch t {
	case journal.Opened:
		return []string{"contract", "command", "plan", "file", "digest", "phases", "pid"}
	case journal.PhaseStarted:
		return []string{"phase"}
	case journal.StepStarted:
		return step
	case journal.StepSaved:
		return append(step, "receipt")
	case journal.StepFinished:
		return append(step, "status")
	case journal.Outage:
		return []string{"probe", "from", "to"}
	case journal.PhaseFinished:
		return []string{"phase", "status"}
	case journal.RollbackStarted:
		return []string{}
	case journal.Stated:
		return []string{"contract", "phase", "step", "statement", "signature"}
	case journal.RollbackFinished, journal.Closed:
		return []string{"status"}
	}
	return nil
}

// contract returns the schema of what v, a struct, is as JSON.
func (s *source) contract(v any) (*schema, error) {
	keys, err := s.keys(reflect.ValueOf(v), nil, jsonFields)
	if err != nil {
		return nil, fmt.Errorf("the journal's contract: %w", err)
	}
	return s.record(keys)
}

// jsonFields are a struct's fields by their json tags. One that may be left out
// is not required.
func jsonFields(t reflect.Type) []task.Field {
	fields := task.ReceiptFields(t)
	for i, f := range fields {
		fields[i].Required = !strings.Contains(t.FieldByIndex(f.Index).Tag.Get("json"), ",omit")
	}
	return fields
}

func (s *source) record(keys []key) (*schema, error) {
	o := &schema{Type: "object", Properties: map[string]*schema{}}
	for _, k := range keys {
		value, err := s.written(k)
		if err != nil {
			return nil, err
		}
		value.Description = k.doc
		o.Properties[k.name] = value
		if k.required {
			o.Required = append(o.Required, k.name)
		}
	}
	return o, nil
}

// written is the schema of a field as it is written in JSON.
func (s *source) written(k key) (*schema, error) {
	switch k.typ {
	case reflect.TypeFor[json.RawMessage]():
		return &schema{Type: "object"}, nil
	case reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}, nil
	case reflect.TypeFor[journal.Type](): // a later version may have more
		return &schema{Type: "string"}, nil
	}
	switch k.typ.Kind() {
	case reflect.String:
		if k.typ.PkgPath() == "" {
			return &schema{Type: "string"}, nil
		}
		words, err := s.constants(k.typ)
		return &schema{Type: "string", Enum: words}, err
	case reflect.Bool:
		return &schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return &schema{Type: "integer"}, nil
	case reflect.Struct:
		return s.record(k.keys)
	case reflect.Pointer:
		return s.written(k.element())
	case reflect.Slice:
		items, err := s.written(k.element())
		return &schema{Type: "array", Items: items}, err
	case reflect.Map:
		values, err := s.written(k.element())
		return &schema{Type: "object", Values: values}, err
	}
	return nil, fmt.Errorf("%s: no schema for a %s", k.name, k.typ)
}

// constants returns the values of a string type, in the order of the source.
func (s *source) constants(t reflect.Type) ([]string, error) {
	if _, err := s.spec(t); err != nil { // reads the package
		return nil, err
	}
	dir := filepath.Join(s.root, filepath.FromSlash(strings.TrimPrefix(t.PkgPath(), module+"/")))
	var values []string
	for _, spec := range s.values[dir] {
		name, ok := spec.Type.(*ast.Ident)
		if !ok || name.Name != t.Name() {
			continue
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			if !ok {
				return nil, fmt.Errorf("a constant of %s is not written as a text", t)
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				return nil, fmt.Errorf("a constant of %s: %w", t, err)
			}
			values = append(values, text)
		}
	}
	if values == nil {
		return nil, fmt.Errorf("%s has no constants", t)
	}
	return values, nil
}
