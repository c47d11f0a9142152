package auth0

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// database compares a connection and who may use it.
func (s *site) database(ctx context.Context, d Database) error {
	what := "database " + d.Name
	find := func() (document, error) {
		all, err := s.tenant.Documents(ctx, "connections", map[string]string{"name": d.Name}, "connections")
		if err != nil {
			return nil, err
		}
		return one(all, "database", "name", d.Name, "id")
	}
	options := document{
		"passwordPolicy": d.PasswordPolicy, "disable_signup": !d.SignUp, "requires_username": d.Usernames,
		"brute_force_protection": d.BruteForce,
	}
	have, err := find()
	switch {
	case errors.Is(err, errNone):
		have, err = s.lacks(ctx, what, document{"name": d.Name, "strategy": "auth0", "options": options}, find, "connections")
	case err == nil && word(have, "strategy") != "auth0":
		err = task.Hint(fmt.Errorf("%s has strategy %s", what, word(have, "strategy")), "name another connection: this one is no database of the tenant's own")
	case err == nil:
		old, _ := have["options"].(document)
		if rank(word(old, "passwordPolicy")) > rank(d.PasswordPolicy) {
			options["passwordPolicy"] = old["passwordPolicy"] // stricter
		}
		err = s.mendFields(ctx, what, have, document{"options": options}, "connections", word(have, "id"))
	}
	if err != nil || len(d.Applications) == 0 {
		return err
	}
	return s.enabled(ctx, what, word(have, "id"), d.Applications)
}

// mostEnabled is how many applications one request may enable.
const mostEnabled = 50

// enabled holds that applications may use a connection. Others that may stay.
func (s *site) enabled(ctx context.Context, what, id string, names []string) error {
	var have []string
	if id != "" {
		all, err := s.enabledClients(ctx, id)
		if err != nil {
			return err
		}
		have = all
	}
	var lacking []string
	var list []any
	for _, name := range names {
		if client := s.clients[name]; client == "" || !slices.Contains(have, client) {
			lacking = append(lacking, name)
			list = append(list, document{"client_id": client, "status": true})
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return s.differs(what+": not enabled for "+strings.Join(lacking, ", "), func() error {
		for some := range slices.Chunk(list, mostEnabled) {
			if err := s.tenant.Mend(ctx, some, "connections", id, "clients"); err != nil {
				return err
			}
		}
		return nil
	})
}

// enabledClients returns the client ids that a connection is enabled for. This
// listing goes from checkpoint to checkpoint.
func (s *site) enabledClients(ctx context.Context, id string) ([]string, error) {
	all, err := s.tenant.Checkpointed(ctx, "clients", "connections", id, "clients")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range all {
		ids = append(ids, word(d, "client_id"))
	}
	return ids, nil
}

// template compares whether an e-mail template is on.
func (s *site) template(ctx context.Context, name string, on bool) error {
	what := "e-mail template " + name
	have, err := s.tenant.Document(ctx, "email-templates", name)
	if errors.Is(err, errNone) {
		if !on {
			return nil // never set up, so never sent
		}
		return task.Hint(fmt.Errorf("%s has never been set up", what), "write it in the dashboard: its text is not in the plan (Branding > Email Templates)")
	}
	if err != nil {
		return err
	}
	if is, _ := have["enabled"].(bool); is == on {
		return nil
	}
	return s.differs(fmt.Sprintf("%s: on is %v", what, !on), func() error {
		return s.tenant.Mend(ctx, document{"enabled": on}, "email-templates", name)
	})
}
