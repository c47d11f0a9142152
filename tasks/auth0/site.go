package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// A site compares a tenant with its blueprint, and mends it if it may.
type site struct {
	tenant    tenant
	access    Access
	blueprint Blueprint
	mend      bool
	wait      time.Duration // for an Action to be built

	log     func(change string)
	made    int64
	changed int64
	changes []string          // in words; with mend they are done
	clients map[string]string // client ids by name
}

// all goes through the blueprint in the order in which things need each other.
func (s *site) all(ctx context.Context) error {
	b := s.blueprint
	steps := []func(context.Context) error{}
	for _, a := range b.APIs {
		steps = append(steps, func(ctx context.Context) error { return s.api(ctx, a) })
	}
	for _, a := range b.Applications {
		steps = append(steps, func(ctx context.Context) error { return s.application(ctx, a) })
	}
	for _, r := range b.Roles {
		steps = append(steps, func(ctx context.Context) error { return s.role(ctx, r) })
	}
	for _, d := range b.Databases {
		steps = append(steps, func(ctx context.Context) error { return s.database(ctx, d) })
	}
	for _, a := range b.Actions {
		steps = append(steps, func(ctx context.Context) error { return s.action(ctx, a) })
	}
	for _, name := range slices.Sorted(maps.Keys(b.Templates)) {
		steps = append(steps, func(ctx context.Context) error { return s.template(ctx, name, b.Templates[name]) })
	}
	var errs []error
	for _, step := range steps {
		err := step(ctx)
		if errs = append(errs, err); err != nil && (ctx.Err() != nil || s.mend) {
			break // what comes later may need it
		}
	}
	return together(errs...)
}

// differs notes a difference, and mends it if it may.
func (s *site) differs(what string, mend func() error) error {
	s.changes = append(s.changes, what)
	if !s.mend {
		return nil
	}
	s.log(what)
	s.changed++
	return mend()
}

// lacks notes that something is not there, and makes it if it may. find returns
// errNone until it is there: an answer that is lost may have had its effect.
func (s *site) lacks(ctx context.Context, what string, body document, find func() (document, error), path ...string) (document, error) {
	s.changes = append(s.changes, what+" is missing")
	if !s.mend {
		return nil, nil
	}
	s.log("make " + what)
	s.made++
	for try, wait := 1, firstBackoff; ; try, wait = try+1, 2*wait {
		makeErr := s.tenant.Make(ctx, body, path...)
		if makeErr != nil && (ctx.Err() != nil || !transient(makeErr) || try == tries) {
			return nil, makeErr
		}
		if makeErr != nil {
			if err := pause(ctx, wait); err != nil {
				return nil, err
			}
		}
		found, err := find()
		if !errors.Is(err, errNone) || makeErr == nil {
			return found, err
		}
	}
}

// one returns the resource of a list that has the value, errNone if there is
// none. Two are refused: nobody but a person can say which is meant.
func one(all []document, kind, key, value, id string) (document, error) {
	var found []document
	for _, d := range all {
		if d[key] == value {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("find %s %s: %w", kind, value, errNone)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, d := range found {
		ids = append(ids, word(d, id))
	}
	return nil, task.Hint(fmt.Errorf("the tenant has %d of the name %s %s: %s", len(found), kind, value, strings.Join(ids, ", ")),
		"delete or rename all but the one that is meant")
}

// word returns a text of a resource, "" if there is none.
func word(d document, key string) string {
	s, _ := d[key].(string)
	return s
}

// mendFields compares the fields of a resource with those wanted, and sends those
// that differ. A field that is an object is sent whole, with what the tenant has
// in it: for some of them the API replaces the whole.
func (s *site) mendFields(ctx context.Context, what string, have, want document, path ...string) error {
	want = plainJSON(want)
	patch := document{}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if same(have[key], want[key]) {
			continue
		}
		patch[key] = want[key]
		if inner, ok := want[key].(document); ok {
			merged := document{}
			if old, ok := have[key].(document); ok {
				maps.Copy(merged, old)
			}
			maps.Copy(merged, inner)
			patch[key] = merged
		}
	}
	if len(patch) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(patch))
	return s.differs(what+": "+strings.Join(keys, ", "), func() error { return s.tenant.Mend(ctx, patch, path...) })
}

// plainJSON returns a document with the types that JSON is decoded to.
func plainJSON(d document) document {
	text, err := json.Marshal(d)
	var out document
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err) // it was made of texts, numbers, lists and maps
	}
	return out
}

// same tells whether a value has all that is wanted. Lists of texts are compared
// whatever their order.
func same(have, want any) bool {
	switch want := want.(type) {
	case document:
		old, _ := have.(document)
		for key := range want {
			if !same(old[key], want[key]) {
				return false
			}
		}
		return true
	case []any:
		old, _ := have.([]any)
		return slices.Equal(words(old), words(want))
	}
	return have == want
}

// words returns the texts of a list in order.
func words(list []any) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = fmt.Sprint(item)
	}
	slices.Sort(out)
	return out
}

// missing returns those of wanted that are not in have.
func missing(have, wanted []string) []string {
	var out []string
	for _, w := range wanted {
		if !slices.Contains(have, w) {
			out = append(out, w)
		}
	}
	return out
}
