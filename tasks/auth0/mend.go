package auth0

import (
	"context"
	"reflect"
	"strings"
)

// A change is what an account is to have beside what it has.
type change struct {
	email    string // "" leaves it
	verified *bool  // that the address is confirmed; nil leaves it
	name     string // "" leaves it
	app      map[string]any
	user     map[string]any // both by the keys of the metadata; nil takes a value out
}

func (c change) empty() bool {
	return c.email == "" && c.verified == nil && c.name == "" && len(c.app)+len(c.user) == 0
}

// metadataChange returns what an account's metadata lack of what its row asks for.
func (t *ImportUsers) metadataChange(a account, r row) change {
	c := change{
		app:  differing(a.metadata, objectOf(r.appMeta), t.Users.AppMetadata),
		user: differing(a.userMetadata, objectOf(r.userMeta), t.Users.UserMetadata),
	}
	if a.text(markRole) != r.role {
		c.app[markRole] = r.role
	}
	return c
}

// differing returns the values of the keys that are others than wanted.
func differing(have, want map[string]any, keys map[string]string) map[string]any {
	values := map[string]any{}
	for key := range keys {
		if !reflect.DeepEqual(have[key], want[key]) {
			values[key] = want[key]
		}
	}
	return values
}

// mend makes an account that was made for a row what the row asks for today; the
// new role itself comes with those of others. An old role is taken away first and
// forgotten last, so that an interruption in between leaves this still to be done.
// whole says that address and name are the row's to decide too.
func (m *mover) mend(ctx context.Context, a account, r row, whole bool) error {
	old := m.roles[a.text(markRole)]
	if old != "" && old != m.roles[r.role] {
		if err := m.tenant.RemoveRole(ctx, old, a.id); err != nil {
			return err
		}
	}
	c := m.task.metadataChange(a, r)
	if whole {
		c.name, c.verified = r.name, &r.verified
		if !strings.EqualFold(a.email, r.email) {
			c.email = r.email
		}
	}
	if c.empty() {
		return nil
	}
	if err := m.tenant.ChangeUser(ctx, a.id, c); err != nil {
		return err
	}
	m.mu.Lock()
	m.mended++
	m.mu.Unlock()
	return nil
}
