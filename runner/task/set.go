package task

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// Kind tells what a task may do to the systems that are being cut over.
type Kind string

const (
	Changes Kind = "changes" // may change something, so its phase needs a rollback
	Looks   Kind = "looks"   // changes nothing but its own artifacts
	Gates   Kind = "gates"   // looks, and may be closed for now
)

// A Spec is a task with its types erased: all that the plan and the runner know
// of it.
type Spec struct {
	Name    string       // "system/verb"
	Kind    Kind         //
	Config  reflect.Type // the task's struct
	Receipt reflect.Type // the struct that Run returns
	Traits  []Trait      // what else a plan's rules need to know

	instance func() Instance
}

// New returns an instance that holds the prototype's defaults.
func (s Spec) New() Instance { return s.instance() }

// An Instance is one step's task. Config is filled in before any other method
// is called.
type Instance interface {
	Config() any // pointer to the task's struct
	Validate() error
	Files() []string
	Check(ctx context.Context, env *Env) error
	Run(ctx context.Context, env *Env) (json.RawMessage, error)
}

// Of makes the Spec of a task that changes something. The prototype's fields
// are the defaults.
func Of[R any](name string, prototype Task[R], traits ...Trait) Spec {
	return spec(name, Changes, prototype, traits)
}

// Look makes the Spec of a task that changes nothing but its own artifacts.
func Look[R any](name string, prototype Task[R], traits ...Trait) Spec {
	return spec(name, Looks, prototype, traits)
}

// Gate makes the Spec of a gate: it changes nothing, and is looked at again
// whenever the run goes on.
func Gate[R any](name string, prototype Task[R], traits ...Trait) Spec {
	return spec(name, Gates, prototype, traits)
}

func spec[R any](name string, kind Kind, prototype Task[R], traits []Trait) Spec {
	v := reflect.ValueOf(prototype)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("task %s: the prototype is a %s, not a pointer to a struct", name, v.Type()))
	}
	receipt := reflect.TypeFor[R]()
	if receipt.Kind() != reflect.Struct {
		panic(fmt.Sprintf("task %s: the receipt is a %s, not a struct", name, receipt))
	}
	return Spec{
		Name: name, Kind: kind, Config: v.Type().Elem(), Receipt: receipt, Traits: traits,
		instance: func() Instance {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			return erased[R]{fresh.Interface().(Task[R])}
		},
	}
}

// erased is the one place where a task's types are forgotten.
type erased[R any] struct{ task Task[R] }

func (e erased[R]) Config() any { return e.task }

func (e erased[R]) Validate() error {
	if v, ok := e.task.(Validator); ok {
		return v.Validate()
	}
	return nil
}

func (e erased[R]) Files() []string {
	if f, ok := e.task.(Filer); ok {
		return f.Files()
	}
	return nil
}

func (e erased[R]) Check(ctx context.Context, env *Env) error { return e.task.Check(ctx, env) }

func (e erased[R]) Run(ctx context.Context, env *Env) (json.RawMessage, error) {
	receipt, runErr := e.task.Run(ctx, env)
	if runErr != nil && reflect.ValueOf(receipt).IsZero() {
		return nil, runErr
	}
	raw, err := json.Marshal(receipt)
	if err != nil {
		return nil, fmt.Errorf("encode the receipt: %w", err)
	}
	return raw, runErr
}

// A Set is the list of the tasks that a plan may use.
type Set struct{ specs []Spec }

// NewSet returns the set of specs. It panics if two have the same name or if a
// configuration is malformed: both are mistakes in the program.
func NewSet(specs ...Spec) Set {
	seen := map[string]bool{}
	for _, s := range specs {
		if seen[s.Name] {
			panic("task " + s.Name + " is listed twice")
		}
		seen[s.Name] = true
		Fields(s.Config)
	}
	return Set{slices.Clone(specs)}
}

// All returns the specs in the order of the list.
func (s Set) All() []Spec { return slices.Clone(s.specs) }

// Lookup returns the spec of that name.
func (s Set) Lookup(name string) (Spec, bool) {
	for _, spec := range s.specs {
		if spec.Name == name {
			return spec, true
		}
	}
	return Spec{}, false
}
