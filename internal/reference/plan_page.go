package main

import (
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// The parts of docs/plan.md that no type says.
var (
	//go:embed plan_begin.md
	planBegin string
	//go:embed plan_end.md
	planEnd string
)

// A part is one mapping of the language.
type part struct {
	title string
	typ   reflect.Type
}

// parts are the mappings of the language, from the outside in.
func parts() []part {
	return []part{
		{"A plan", reflect.TypeFor[plan.Plan]()},
		{"A variable, under env", reflect.TypeFor[plan.Variable]()},
		{"A contact, under contacts", reflect.TypeFor[plan.Contact]()},
		{"A probe, under probes", reflect.TypeFor[plan.Probe]()},
		{"A phase, under phases", reflect.TypeFor[plan.Phase]()},
		{"A step, under gates, steps or rollback", reflect.TypeFor[plan.Step]()},
		{"Retry, of a step", reflect.TypeFor[plan.Retry]()},
	}
}

// planPage is the page docs/plan.md.
func (s *source) planPage() (string, error) {
	var b strings.Builder
	b.WriteString(planBegin)
	var failures []error
	for _, part := range parts() {
		doc, err := s.doc(part.typ)
		failures = append(failures, err)
		keys, err := s.keys(reflect.Zero(part.typ), nil, task.Fields)
		failures = append(failures, err)
		rows := [][]string{{"key", "type", "default", "example", "meaning"}}
		for _, k := range keys {
			if k.example == "" {
				failures = append(failures, fmt.Errorf("%s: the key %s has no example tag", part.typ, k.name))
			}
			rows = append(rows, []string{"`" + k.name + "`", languageType(k), defaultOf(k), "`" + k.example + "`", k.doc})
		}
		subject, _, _ := strings.Cut(part.title, ",")
		if doc != "" {
			doc = subject + " " + strings.ToLower(doc[:1]) + doc[1:]
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n%s\n", part.title, doc, table(rows))
	}
	b.WriteString(planEnd)
	return b.String(), errors.Join(failures...)
}

// defaultOf is what the tables say of a key that is not written.
func defaultOf(k key) string {
	switch {
	case k.required:
		return "required"
	case k.value != "":
		return "`" + k.value + "`"
	}
	return ""
}

// languageType is the type of a key of the language in a user's words.
func languageType(k key) string {
	switch k.typ {
	case reflect.TypeFor[plan.Variables]():
		return "map of variables"
	case reflect.TypeFor[plan.Config]():
		return "the task's keys"
	case reflect.TypeFor[task.Spec]():
		return "name of a task"
	case reflect.TypeFor[plan.Template]():
		return "URL"
	case reflect.TypeFor[plan.Retry]():
		return "retry"
	case reflect.TypeFor[[]plan.Contact]():
		return "list of contacts"
	case reflect.TypeFor[[]plan.Probe]():
		return "list of probes"
	case reflect.TypeFor[[]plan.Phase]():
		return "list of phases"
	case reflect.TypeFor[[]plan.Step]():
		return "list of steps"
	}
	return k.describe()
}
