package main

import (
	"maps"

	"github.com/medlogistics/phasegate/runner/task"
)

// named gives texts the form of names.
func named(texts ...*schema) {
	for _, text := range texts {
		text.Type, text.Pattern, text.MaxLength = "string", `^[a-z][a-z0-9]*(-[a-z0-9]+)*$`, 64
	}
}

// without returns the object without a key.
func (s *schema) without(key string) *schema {
	rest := *s
	rest.Properties = maps.Clone(s.Properties)
	delete(rest.Properties, key)
	return &rest
}

// holdRules adds what a schema can say of the rules between keys.
func holdRules(root *schema, entries []entry) {
	phases := root.Properties["phases"]
	phases.MinItems = 1
	phase := phases.Items
	some := func(key string) *schema {
		return &schema{Required: []string{key}, Properties: map[string]*schema{key: {MinItems: 1}}}
	}
	never := func(keys ...string) *schema { return &schema{Not: &schema{Required: keys}} }
	phase.AnyOf = []*schema{some("gates"), some("steps")} // empty-phase
	none := 0
	phase.AllOf = []*schema{
		{ // promise
			If:   &schema{Properties: map[string]*schema{"steps": {Contains: changing(entries)}}, Required: []string{"steps"}},
			Then: &schema{AnyOf: []*schema{some("rollback"), {Required: []string{"irreversible"}}}},
		},
		{
			If:   &schema{Required: []string{"irreversible"}},
			Then: &schema{Properties: map[string]*schema{"rollback": {MaxItems: &none}}},
		},
	}
	phase.Properties["irreversible"].Type, phase.Properties["irreversible"].Pattern = "string", `\S`
	variables := root.Properties["env"].Values.(*schema).AnyOf[0]
	variables.AllOf = []*schema{
		never("default", "equals"),
		{ // literal-secret
			If:   &schema{Properties: map[string]*schema{"secret": {Const: true}}, Required: []string{"secret"}},
			Then: &schema{AllOf: []*schema{never("default"), never("equals")}},
		},
	}
}

// changing is the schema of a step whose task may change something.
func changing(entries []entry) *schema {
	names := &schema{}
	for _, e := range entries {
		if e.spec.Kind == task.Changes {
			names.Enum = append(names.Enum, e.spec.Name)
		}
	}
	if names.Enum == nil {
		return &schema{Not: &schema{}}
	}
	return &schema{Type: "object", Properties: map[string]*schema{"task": names}, Required: []string{"task"}}
}
