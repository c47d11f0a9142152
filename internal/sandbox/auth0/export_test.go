package auth0

import (
	"maps"
	"slices"
)

// Body returns the properties that an endpoint takes in a JSON object, and those
// that it wants. ok is false where its body is none.
func Body(pattern string) (properties, required []string, ok bool) {
	for _, e := range endpoints() {
		if e.pattern == pattern && e.body != nil && e.body.kind == "object" {
			return slices.Sorted(maps.Keys(e.body.props)), slices.Sorted(slices.Values(e.body.required)), true
		}
	}
	return nil, nil, false
}

// Endpoints returns the names of all endpoints.
func Endpoints() []string { return endpointNames() }
