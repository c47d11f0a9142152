package auth0

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// ReadSeed reads a seed that is written as JSON. A property that no seed has is
// an error, since it would be a misspelt one. Errors name the line, or the list and
// the item's place in it.
func ReadSeed(from io.Reader) (Seed, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return Seed{}, fmt.Errorf("read the seed: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return Seed{}, errors.New("read the seed: the file is empty")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	var s Seed
	if err := decoder.Decode(&s); err != nil {
		return Seed{}, fmt.Errorf("read the seed: %s%w", lineOf(text, err), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Seed{}, errors.New("read the seed: there is more behind the object")
	}
	if err := s.validate(); err != nil {
		return Seed{}, fmt.Errorf("read the seed: %w", err)
	}
	return s, nil
}

// lineOf returns "line 3: " for an error that encoding/json has found in a text,
// "" where it does not say which.
func lineOf(text []byte, err error) string {
	at := int64(-1)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = syntax.Offset
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at = kind.Offset
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		at = int64(bytes.Index(text, []byte(name)))
	}
	if at < 0 || at > int64(len(text)) {
		return ""
	}
	return fmt.Sprintf("line %d: ", 1+bytes.Count(text[:at], []byte("\n")))
}

// clientTypes are the types of application that Auth0's console offers, and what
// its API knows besides; "" leaves the type open.
func clientTypes() []string {
	return strings.Fields("non_interactive spa regular_web native resource_server express_configuration")
}

// validate finds what a seed leaves out or misspells that nothing would tell of later.
func (s Seed) validate() error {
	var errs []error
	wanted := func(list string, i int, key, value string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s[%d] has no %s", list, i, key))
		}
	}
	for i, api := range s.APIs {
		wanted("apis", i, "identifier", api.Identifier)
	}
	for i, role := range s.Roles {
		wanted("roles", i, "name", role.Name)
	}
	for i, client := range s.Clients {
		wanted("clients", i, "name", client.Name)
		if client.Type != "" && !slices.Contains(clientTypes(), client.Type) {
			errs = append(errs, fmt.Errorf("clients[%d] has the type %q: want one of %v", i, client.Type, clientTypes()))
		}
	}
	for i, connection := range s.Connections {
		wanted("connections", i, "name", connection.Name)
	}
	for i, action := range s.Actions {
		wanted("actions", i, "name", action.Name)
		if action.Trigger != "" && !slices.Contains(triggers(), action.Trigger) {
			errs = append(errs, fmt.Errorf("actions[%d] has the trigger %q: want one of %v", i, action.Trigger, triggers()))
		}
	}
	for i, template := range s.Templates {
		wanted("templates", i, "name", template.Name)
	}
	for i, user := range s.Users {
		wanted("users", i, "email and no username", user.Email+user.Username)
	}
	return errors.Join(errs...)
}

// identified returns the seed with an id, and for applications a secret, where it
// leaves them to chance: planting it twice then gives the same ones.
func (s Seed) identified() Seed {
	fill := func(into *string, id string) {
		if *into == "" {
			*into = id
		}
	}
	s.APIs, s.Roles, s.Clients = slices.Clone(s.APIs), slices.Clone(s.Roles), slices.Clone(s.Clients)
	s.Connections, s.Actions, s.Users = slices.Clone(s.Connections), slices.Clone(s.Actions), slices.Clone(s.Users)
	for i := range s.APIs {
		fill(&s.APIs[i].ID, randomID(hexadecimal, 24))
	}
	for i := range s.Roles {
		fill(&s.Roles[i].ID, "rol_"+randomID(alphanumeric, 16))
	}
	for i := range s.Clients {
		fill(&s.Clients[i].ID, randomID(alphanumeric, 32))
		fill(&s.Clients[i].Secret, randomID(alphanumeric, 64))
	}
	for i := range s.Connections {
		fill(&s.Connections[i].ID, "con_"+randomID(alphanumeric, 16))
	}
	for i := range s.Actions {
		fill(&s.Actions[i].ID, uuid())
	}
	for i := range s.Users {
		fill(&s.Users[i].ID, "auth0|"+randomID(hexadecimal, 24))
	}
	return s
}

// Reset puts the tenant back to its seed: ids and secrets are those of the start,
// and tokens that were issued stay good. Limits, faults and timing stay as they are.
func (t *Tenant) Reset() error {
	t.mu.Lock()
	seed := t.config.Seed
	t.mu.Unlock()
	return t.Replace(seed)
}

// Replace puts another seed in the place of all that the tenant holds. Where it
// has no application with a grant for the Management API, the one that the tenant
// had stays. A seed that contradicts itself changes nothing.
func (t *Tenant) Replace(s Seed) error {
	fresh, err := OpenTenant(Config{Seed: s, Now: t.now, ActionBuild: time.Duration(t.Timing().ActionBuild)})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept := t.clients.get(t.management); kept != nil && fresh.management == "" {
		id := t.management
		fresh.clients.put(kept)
		for _, grant := range t.grants.where(func(d document) bool { return d["client_id"] == id }) {
			fresh.grants.put(grant)
		}
		fresh.management = id
	}
	t.state = fresh.state
	return nil
}
