package auth0

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// application compares an application and its grants.
func (s *site) application(ctx context.Context, a Application) error {
	what := "application " + a.Name
	want := document{
		"name": a.Name, "app_type": a.Type, "grant_types": a.GrantTypes, "oidc_conformant": a.Conformant,
		"jwt_configuration": document{"alg": a.Algorithm},
	}
	for key, list := range map[string][]string{
		"callbacks": a.Callbacks, "allowed_logout_urls": a.LogoutURLs, "web_origins": a.WebOrigins, "allowed_origins": a.Origins,
	} {
		if len(list) > 0 {
			want[key] = list
		}
	}
	for key, value := range map[string]string{"token_endpoint_auth_method": a.AuthMethod, "description": a.Description} {
		if value != "" {
			want[key] = value
		}
	}
	find := func() (document, error) {
		all, err := s.tenant.Documents(ctx, "clients", map[string]string{"is_global": "false"}, "clients")
		if err != nil {
			return nil, err
		}
		return one(all, "application", "name", a.Name, "client_id")
	}
	have, err := find()
	switch {
	case errors.Is(err, errNone):
		body := plainJSON(want)
		body["client_metadata"] = document{applicationMark: markValue}
		have, err = s.lacks(ctx, what, body, find, "clients")
	case err == nil:
		err = s.mendFields(ctx, what, have, want, "clients", word(have, "client_id"))
	}
	if err != nil {
		return err
	}
	s.clients[a.Name] = word(have, "client_id")
	for _, g := range a.Grants {
		if err := s.grant(ctx, a.Name, g); err != nil {
			return err
		}
	}
	return nil
}

// grant compares what an application may ask an API for. The application that we
// come as keeps what it has besides: we would saw off the branch we sit on.
func (s *site) grant(ctx context.Context, name string, g Scopes) error {
	what := "grant of application " + name + " on " + g.API
	client, audience := s.clients[name], g.API
	if audience == "management" {
		audience = s.access.url("/api/v2/")
	}
	find := func() (document, error) {
		if client == "" {
			return nil, errNone // its application is missing too
		}
		all, err := s.tenant.Documents(ctx, "client_grants", map[string]string{"client_id": client, "audience": audience}, "client-grants")
		if err != nil {
			return nil, err
		}
		return one(all, "grant on", "audience", audience, "id")
	}
	have, err := find()
	if errors.Is(err, errNone) {
		_, err := s.lacks(ctx, what, document{"client_id": client, "audience": audience, "scope": g.Scopes}, find, "client-grants")
		return err
	}
	if err != nil {
		return err
	}
	list, _ := have["scope"].([]any)
	scopes, had := g.Scopes, words(list)
	if client == s.access.ClientID {
		scopes = append(slices.Clone(had), missing(had, g.Scopes)...)
	}
	more, less := missing(had, scopes), missing(scopes, had)
	if len(more)+len(less) == 0 {
		return nil
	}
	return s.differs(what+plusMinus(more, less), func() error {
		return s.tenant.Mend(ctx, document{"scope": scopes}, "client-grants", word(have, "id"))
	})
}

// plusMinus writes ": lacks a, b; has c besides".
func plusMinus(more, less []string) string {
	var parts []string
	if len(more) > 0 {
		parts = append(parts, "lacks "+strings.Join(more, ", "))
	}
	if len(less) > 0 {
		parts = append(parts, "has "+strings.Join(less, ", ")+" besides")
	}
	return ": " + strings.Join(parts, "; ")
}
