package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A schema is one of JSON Schema 2020-12, as far as a plan needs it:
// https://json-schema.org/draft/2020-12.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a string, or several
	Const       any                `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	MaxLength   int                `json:"maxLength,omitempty"`
	Format      string             `json:"format,omitempty"`
	Minimum     json.Number        `json:"minimum,omitempty"`
	Maximum     json.Number        `json:"maximum,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Values      any                `json:"additionalProperties,omitempty"` // false or a *schema
	Names       *schema            `json:"propertyNames,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MaxItems    *int               `json:"maxItems,omitempty"`
	Contains    *schema            `json:"contains,omitempty"`
	Not         *schema            `json:"not,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	If          *schema            `json:"if,omitempty"`
	Then        *schema            `json:"then,omitempty"`
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

// The patterns of values that are written as text. Where a reference may stand,
// a text with one in it is let through: what it gives is known at the run only.
const (
	reference  = `\$\{\{`
	durations  = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	sizes      = `^[0-9]+(\.[0-9]+)? ?([KMGT]i?B|kB|B)$`
	percentage = `^[0-9]+(\.[0-9]+)? ?%$`
)

// planSchema is the file plans/plan.schema.json.
func (s *source) planSchema(entries []entry) ([]byte, error) {
	keys, err := s.keys(reflect.ValueOf(plan.Plan{}), nil, task.Fields)
	if err != nil {
		return nil, fmt.Errorf("keys of a plan: %w", err)
	}
	root := object(keys, false)
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "A plan of phasegate"
	root.Description = "Generated from the Go types by make generate."
	root.Properties["version"].Const = plan.Version
	step := root.Properties["phases"].Items.Properties["steps"].Items
	phase := root.Properties["phases"].Items.Properties
	phase["steps"].Items = &schema{Ref: "#/$defs/step"}
	phase["rollback"].Items = &schema{Ref: "#/$defs/hook"}
	phase["gates"].Items = &schema{Ref: "#/$defs/gate"}
	named(root.Properties["name"], root.Properties["probes"].Items.Properties["name"], phase["name"], step.Properties["id"])
	forward := step.without("after")
	root.Defs = map[string]*schema{
		"gate": forTasks(forward, except(entries, task.Changes)),
		"step": forTasks(forward, except(entries, task.Gates)),
		"hook": forTasks(step, except(entries, task.Gates)),
	}
	holdRules(root, entries)
	for _, e := range entries {
		with := object(e.config, true)
		with.Description = e.doc
		root.Defs[e.spec.Name] = with
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("encode the schema: %w", err)
	}
	return b.Bytes(), nil
}

// forTasks returns the schema of a step that may name these tasks. The task
// decides what its with may hold.
func forTasks(step *schema, entries []entry) *schema {
	narrowed := *step
	narrowed.Properties = maps.Clone(step.Properties)
	names := &schema{Description: step.Properties["task"].Description, Type: "string"}
	for _, e := range entries {
		names.AnyOf = append(names.AnyOf, &schema{Const: e.spec.Name, Description: firstSentence(e.doc)})
		then := &schema{Properties: map[string]*schema{"with": {Ref: "#/$defs/" + strings.ReplaceAll(e.spec.Name, "/", "~1")}}}
		if slices.ContainsFunc(e.config, func(k key) bool { return k.required }) {
			then.Required = []string{"with"}
		}
		if !e.spec.Has(task.Retryable) {
			then.Properties["retry"] = &schema{Not: &schema{}}
		}
		narrowed.AllOf = append(narrowed.AllOf, &schema{
			If:   &schema{Properties: map[string]*schema{"task": {Const: e.spec.Name}}, Required: []string{"task"}},
			Then: then,
		})
	}
	narrowed.Properties["task"] = names
	return &narrowed
}

// except leaves out the tasks of a kind: what changes something is no gate, and
// only a gate waits for somebody.
func except(entries []entry, kind task.Kind) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.spec.Kind == kind })
}

// object returns the schema of a mapping with these keys and no others.
func object(keys []key, references bool) *schema {
	o := &schema{Type: "object", Values: false, Properties: map[string]*schema{}}
	for _, k := range keys {
		value := value(k, references)
		value.Description, value.Default = k.doc, scalar(k)
		o.Properties[k.name] = value
		if k.required {
			o.Required = append(o.Required, k.name)
		}
	}
	return o
}

// value returns the schema of a key's value.
func value(k key, references bool) *schema {
	switch k.typ {
	case reflect.TypeFor[plan.Variables]():
		return &schema{
			Type: "object", Names: &schema{Pattern: `^[A-Za-z_][A-Za-z0-9_]*$`},
			Values: &schema{AnyOf: []*schema{object(k.keys, references), {Type: "null"}}},
		}
	case reflect.TypeFor[plan.Config]():
		return &schema{Type: "object"}
	case reflect.TypeFor[task.Spec]():
		return &schema{Type: "string"}
	case reflect.TypeFor[time.Duration]():
		return text(durations, references)
	case reflect.TypeFor[task.Bytes]():
		return text(sizes, references)
	case reflect.TypeFor[task.Percent]():
		return text(percentage, references)
	case reflect.TypeFor[redact.Secret]():
		return &schema{Type: "string", Pattern: `\$\{\{\s*env\.`}
	case reflect.TypeFor[task.Path](), reflect.TypeFor[task.Condition]():
		return &schema{Type: "string", MinLength: 1, Not: &schema{Pattern: reference}}
	case reflect.TypeFor[plan.Template](), reflect.TypeFor[task.URL]():
		return &schema{Type: "string", Pattern: `^https?://|` + reference}
	}
	if words(k.typ) != nil {
		return orReference(&schema{Type: "string", Enum: words(k.typ)}, references)
	}
	if isText(k.typ) {
		return &schema{Type: "string"}
	}
	switch k.typ.Kind() {
	case reflect.Pointer:
		return value(k.element(), references)
	case reflect.Slice:
		return orReference(&schema{Type: "array", Items: value(k.element(), references)}, references)
	case reflect.Map:
		return &schema{Type: "object", Values: value(k.element(), references)}
	case reflect.Struct:
		return object(k.keys, references)
	case reflect.Bool:
		return orReference(&schema{Type: "boolean"}, references)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return orReference(&schema{Type: "integer", Minimum: json.Number(k.min), Maximum: json.Number(k.max)}, references)
	case reflect.Float64:
		return orReference(&schema{Type: "number", Minimum: json.Number(k.min), Maximum: json.Number(k.max)}, references)
	}
	return &schema{Type: plainText}
}

// plainText is what YAML may take an unquoted text for.
var plainText = []string{"string", "number", "boolean"}

// element is what a list or a map holds, as if it were a key.
func (k key) element() key { return key{typ: k.typ.Elem(), keys: k.keys} }

func text(pattern string, references bool) *schema {
	if references {
		pattern += "|" + reference
	}
	return &schema{Type: "string", Pattern: pattern}
}

// orReference lets a reference stand for a value that is not text.
func orReference(value *schema, references bool) *schema {
	if !references {
		return value
	}
	return &schema{AnyOf: []*schema{value, {Type: "string", Pattern: reference}}}
}

// scalar is a key's default as JSON holds it, nil for none.
func scalar(k key) any {
	switch typeName(k.typ) {
	case "true or false", "whole number", "number":
		if k.value != "" {
			return json.RawMessage(k.value)
		}
	case "text", "duration", "size", "percentage", "path":
		if k.value != "" {
			return k.value
		}
	}
	return nil
}
