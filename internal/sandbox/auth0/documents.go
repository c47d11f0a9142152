package auth0

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// A document is a resource that the tenant keeps as the JSON object that it is:
// an application, a connection, an API.
type document = map[string]any

// documents are the resources of a kind, in the order in which they were made.
type documents struct {
	key   string // the property that is the id
	byID  map[string]document
	order []string
}

func newDocuments(key string) *documents {
	return &documents{key: key, byID: map[string]document{}}
}

func (s *documents) put(d document) {
	id := text(d, s.key)
	if _, ok := s.byID[id]; !ok {
		s.order = append(s.order, id)
	}
	s.byID[id] = d
}

// get returns a document, nil if there is none.
func (s *documents) get(id string) document { return s.byID[id] }

func (s *documents) remove(id string) {
	delete(s.byID, id)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
}

// find returns the first document that matches, nil if none does.
func (s *documents) find(match func(document) bool) document {
	for _, id := range s.order {
		if match(s.byID[id]) {
			return s.byID[id]
		}
	}
	return nil
}

// where returns the documents that match.
func (s *documents) where(match func(document) bool) []document {
	out := []document{}
	for _, id := range s.order {
		if match(s.byID[id]) {
			out = append(out, s.byID[id])
		}
	}
	return out
}

func text(d document, key string) string {
	s, _ := d[key].(string)
	return s
}

func nested(d document, key string) document {
	inner, _ := d[key].(map[string]any)
	return inner
}

// number returns an integer of a document, 0 if it is not there.
func number(d document, key string) int {
	switch n := d[key].(type) {
	case int:
		return n
	case json.Number:
		i, _ := strconv.Atoi(n.String())
		return i
	}
	return 0
}

// merged returns d with the properties of patch in place of its own; null takes
// a property out.
func merged(d, patch document) document {
	out := maps.Clone(d)
	maps.Copy(out, patch)
	maps.DeleteFunc(out, func(_ string, value any) bool { return value == nil })
	return out
}

// defaults returns d with the properties of others where it has none.
func defaults(d, others document) document {
	out := make(document, len(d)+len(others))
	maps.Copy(out, others)
	maps.Copy(out, d)
	return out
}
