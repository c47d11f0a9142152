package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ReadSeed reads a seed that is written as JSON. A property that no seed has is
// an error, since it would be a misspelt one.
func ReadSeed(from io.Reader) (Seed, error) {
	decoder := json.NewDecoder(from)
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	var s Seed
	if err := decoder.Decode(&s); err != nil {
		return Seed{}, fmt.Errorf("read the seed: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Seed{}, errors.New("read the seed: there is more behind the object")
	}
	return s, nil
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
