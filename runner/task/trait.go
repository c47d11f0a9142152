package task

import (
	"reflect"
	"slices"
)

// A Trait is what the rules of a plan, or its run, need to know of a task beyond its [Kind].
// A task has the traits that its line in the list of tasks gives it.
type Trait string

const (
	// Retryable says that a failed attempt may be made again at once: what it
	// did in part does not stand in the way. Tasks that only look always are.
	Retryable Trait = "retryable"

	// Copies says that the task makes a copy of data which outlives whatever
	// later steps do to the original.
	Copies Trait = "copies"

	// Alters says that the task changes data which such a copy would bring back.
	Alters Trait = "alters"

	// Asks says that a gate opens only when a person has said so.
	Asks Trait = "asks"

	// Waits says that the task has others do the work, and computes nothing.
	Waits Trait = "waits"
)

// Has tells whether the task has the trait.
func (s Spec) Has(t Trait) bool {
	return slices.Contains(s.Traits, t) || t == Retryable && s.Kind != Changes
}

// Holds tells whether the task is a [Holder].
func (s Spec) Holds() bool { return reflect.PointerTo(s.Config).Implements(reflect.TypeFor[Holder]()) }

// Releases tells whether the task is a [Releaser].
func (s Spec) Releases() bool {
	return reflect.PointerTo(s.Config).Implements(reflect.TypeFor[Releaser]())
}
