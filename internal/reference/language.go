package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/medlogistics/phasegate/docs"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// languageFile is the file docs/language.json, which the language server reads.
func (s *source) languageFile(entries []entry) ([]byte, error) {
	keys, err := s.keys(reflect.ValueOf(plan.Plan{}), nil, task.Fields)
	if err != nil {
		return nil, fmt.Errorf("keys of a plan: %w", err)
	}
	language := docs.Language{Keys: pages(keys)}
	for _, e := range entries {
		language.Tasks = append(language.Tasks, docs.TaskPage{
			Name: e.spec.Name, Kind: kinds[e.spec.Kind], Doc: e.doc, Keys: pages(e.config), Receipt: pages(e.receipt),
		})
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(language); err != nil {
		return nil, fmt.Errorf("encode the language: %w", err)
	}
	return b.Bytes(), nil
}

// pages are the keys as the language server knows them.
func pages(keys []key) []docs.Key {
	var out []docs.Key
	for _, k := range keys {
		page := docs.Key{
			Name: k.name, Type: languageType(k), Holds: holdsWhat(k.typ), Doc: k.doc, Required: k.required,
			Default: k.value, Example: k.example, Keys: pages(k.keys),
		}
		if k.typ.Kind() != reflect.Struct {
			page.Words = words(innermost(k.typ))
		}
		if page.Words == nil && innermost(k.typ).Kind() == reflect.Bool {
			page.Words = []string{"true", "false"}
		}
		out = append(out, page)
	}
	return out
}

// innermost is the type of a single value in lists and pointers.
func innermost(t reflect.Type) reflect.Type {
	for !isText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer) {
		t = t.Elem()
	}
	return t
}

// holdsWhat tells what a value of type t holds, as docs.Key has it.
func holdsWhat(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[plan.Config]():
		return docs.Config
	case t == reflect.TypeFor[plan.Variables]():
		return docs.Map
	case isText(t) || t == reflect.TypeFor[task.Spec]():
		return ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return holdsWhat(t.Elem())
	case reflect.Slice:
		return docs.List
	case reflect.Map:
		return docs.Map
	case reflect.Struct:
		return docs.Object
	}
	return ""
}
