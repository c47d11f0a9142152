package auth0

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// api compares an API. Scopes are added; those that are there besides stay.
func (s *site) api(ctx context.Context, a API) error {
	what := "API " + a.Identifier
	want := document{
		"name": a.Name, "signing_alg": a.Algorithm, "allow_offline_access": a.OfflineAccess,
		"skip_consent_for_verifiable_first_party_clients": a.SkipConsent,
		"token_lifetime": int(a.TokenLifetime.Seconds()), "token_lifetime_for_web": int(a.WebTokenLifetime.Seconds()),
	}
	find := func() (document, error) { return s.tenant.Document(ctx, "resource-servers", a.Identifier) }
	have, err := find()
	if errors.Is(err, errNone) {
		want["identifier"], want["scopes"] = a.Identifier, scopeList(nil, a.Scopes)
		_, err := s.lacks(ctx, what, plainJSON(want), find, "resource-servers")
		return err
	}
	if err != nil {
		return err
	}
	if err := s.mendFields(ctx, what, have, want, "resource-servers", word(have, "id")); err != nil {
		return err
	}
	old, _ := have["scopes"].([]any)
	meanings := map[string]string{}
	for _, item := range old {
		d, _ := item.(document)
		meanings[word(d, "value")] = word(d, "description")
	}
	var more []string
	for _, scope := range slices.Sorted(maps.Keys(a.Scopes)) {
		if meaning, ok := meanings[scope]; !ok || meaning != a.Scopes[scope] {
			more = append(more, scope)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return s.differs(what+plusMinus(more, nil), func() error {
		return s.tenant.Mend(ctx, document{"scopes": scopeList(meanings, a.Scopes)}, "resource-servers", word(have, "id"))
	})
}

// scopeList returns the scopes of both maps as the API writes them.
func scopeList(old, more map[string]string) []any {
	all := maps.Clone(old)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, more)
	list := []any{}
	for _, scope := range slices.Sorted(maps.Keys(all)) {
		list = append(list, document{"value": scope, "description": all[scope]})
	}
	return list
}

// role compares a role. Permissions are added; those that are there besides stay.
func (s *site) role(ctx context.Context, r Role) error {
	what := "role " + r.Name
	find := func() (document, error) {
		// The filter is not exact, and knows no capitals.
		all, err := s.tenant.Documents(ctx, "roles", map[string]string{"name_filter": r.Name}, "roles")
		if err != nil {
			return nil, err
		}
		return one(all, "role", "name", r.Name, "id")
	}
	want := document{"name": r.Name, "description": r.Description}
	have, err := find()
	switch {
	case errors.Is(err, errNone):
		have, err = s.lacks(ctx, what, want, find, "roles")
	case err == nil:
		err = s.mendFields(ctx, what, have, want, "roles", word(have, "id"))
	}
	if err != nil || len(r.Permissions) == 0 {
		return err
	}
	return s.permissions(ctx, what, word(have, "id"), r.Permissions)
}

// permissions adds to what a role allows. Without an id the role is missing too.
func (s *site) permissions(ctx context.Context, what, id string, wanted []Scopes) error {
	var have []document
	if id != "" {
		var err error
		if have, err = s.tenant.Documents(ctx, "permissions", nil, "roles", id, "permissions"); err != nil {
			return err
		}
	}
	var more []string
	var add []any
	for _, w := range wanted {
		for _, scope := range w.Scopes {
			there := slices.ContainsFunc(have, func(d document) bool {
				return d["permission_name"] == scope && d["resource_server_identifier"] == w.API
			})
			if !there {
				more = append(more, scope)
				add = append(add, document{"permission_name": scope, "resource_server_identifier": w.API})
			}
		}
	}
	if len(add) == 0 {
		return nil
	}
	return s.differs(what+plusMinus(more, nil), func() error {
		// Added again, a permission is there once.
		return again(ctx, func() error { return s.tenant.Make(ctx, document{"permissions": add}, "roles", id, "permissions") })
	})
}
