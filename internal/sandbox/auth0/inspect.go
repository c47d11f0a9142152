package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A User is an account as tests look at it and as seeds describe it.
type User struct {
	ID            string         `json:"user_id,omitempty"`    // with the provider, as in "auth0|ml-42"; random by default
	Connection    string         `json:"connection,omitempty"` // name; the first one by default
	Email         string         `json:"email,omitempty"`
	Username      string         `json:"username,omitempty"`
	Name          string         `json:"name,omitempty"`
	Password      string         `json:"password,omitempty"` // taken, never shown
	EmailVerified bool           `json:"email_verified,omitempty"`
	Blocked       bool           `json:"blocked,omitempty"`
	AppMetadata   map[string]any `json:"app_metadata,omitempty"`
	UserMetadata  map[string]any `json:"user_metadata,omitempty"`
	Roles         []string       `json:"roles,omitempty"` // names
	CreatedAt     time.Time      `json:"created_at,omitzero"`
	UpdatedAt     time.Time      `json:"updated_at,omitzero"`
	Logins        int            `json:"logins_count,omitempty"`
	HasPassword   bool           `json:"has_password,omitempty"` // shown, not taken
}

// Users returns copies of all users, in the order in which they were made.
func (t *Tenant) Users() []User {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	out := make([]User, 0, len(t.users.byID))
	for u := range t.users.all {
		out = append(out, u.export())
	}
	return out
}

// CountUsers returns how many users there are.
func (t *Tenant) CountUsers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	return len(t.users.byID)
}

// User returns a copy of a user and whether there is one with that id.
func (t *Tenant) User(id string) (User, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	u := t.users.byID[id]
	if u == nil {
		return User{}, false
	}
	return u.export(), true
}

func (u *user) export() User {
	out := User{
		ID: u.id, Connection: u.connection, Email: u.email, Username: u.username, Name: u.displayName(),
		EmailVerified: u.has(verified), Blocked: u.has(blocked), Roles: u.roleNames(),
		CreatedAt: time.UnixMilli(u.created), UpdatedAt: time.UnixMilli(u.updated),
		Logins: int(u.logins), HasPassword: u.password.isSet(),
	}
	for data, into := range map[*[]byte]*map[string]any{&u.appMeta: &out.AppMetadata, &u.userMeta: &out.UserMetadata} {
		if *data != nil {
			*into = toObject(json.RawMessage(*data))
		}
	}
	return out
}

// DeleteUser deletes a user behind the client's back and tells whether there
// was one.
func (t *Tenant) DeleteUser(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.users.byID[id]
	if u != nil {
		t.drop(u, t.now())
	}
	return u != nil
}

// PutUser makes a user, or replaces the one with the same id, behind the
// client's back: no limit counts, no policy applies, no mail goes out.
func (t *Tenant) PutUser(u User) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.putUser(u)
}

func (t *Tenant) putUser(from User) error {
	now := t.now()
	if from.Connection == "" && len(t.connections.order) > 0 {
		from.Connection = text(t.connections.get(t.connections.order[0]), "name")
	}
	if from.ID == "" {
		from.ID = "auth0|" + randomID(hexadecimal, 24)
	}
	if from.Email == "" && from.Username == "" {
		return errors.New("put user: neither e-mail address nor username")
	}
	if old := t.users.byID[from.ID]; old != nil {
		t.drop(old, now)
	}
	u := &user{
		id: from.ID, connection: from.Connection, email: strings.ToLower(from.Email),
		username: strings.ToLower(from.Username), name: from.Name, created: now.UnixMilli(), updated: now.UnixMilli(),
	}
	if !from.CreatedAt.IsZero() {
		u.created = from.CreatedAt.UnixMilli()
	}
	if !from.UpdatedAt.IsZero() {
		u.updated = from.UpdatedAt.UnixMilli()
	}
	if t.taken(u.connection, u.email, u.username) {
		return fmt.Errorf("put user %s: the address or name is taken", u.id)
	}
	u.set(verified, from.EmailVerified)
	if from.Blocked {
		u.set(blocked|blockedKnown, true)
	}
	if from.AppMetadata != nil {
		u.appMeta = compact(from.AppMetadata)
	}
	if from.UserMetadata != nil {
		u.userMeta = compact(from.UserMetadata)
	}
	if from.Password != "" {
		u.password = newPassword(u.id, from.Password)
	}
	t.users.put(u)
	t.changing(u, nil, now)
	return t.setRoles(u, from.Roles)
}

// SetRoles gives a user just these roles, by name.
func (t *Tenant) SetRoles(id string, names ...string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.users.byID[id]
	if u == nil {
		return fmt.Errorf("set roles of %s: no such user", id)
	}
	return t.setRoles(u, names)
}

func (t *Tenant) setRoles(u *user, names []string) error {
	for _, m := range slices.Clone(u.roles) {
		m.role.leave(u)
	}
	for _, name := range names {
		r := t.roleNamed(name)
		if r == nil {
			return fmt.Errorf("set roles of %s: no role is called %s", u.id, name)
		}
		r.join(u)
	}
	return nil
}

// SetPassword gives a user a password behind the client's back, as if the user
// had followed the link of a reset mail.
func (t *Tenant) SetPassword(id, password string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.users.byID[id]
	if u == nil {
		return fmt.Errorf("set password of %s: no such user", id)
	}
	u.password = newPassword(u.id, password)
	u.reset = t.now().UnixMilli()
	u.updated = u.reset
	u.set(verified, true)
	return nil
}

// An Import is a users-imports job as tests look at it.
type Import struct {
	ID      string
	Created time.Time
	Ended   time.Time // zero while it goes on, or when it failed
	Users   int       // in its file
	Bytes   int       // of the request
}

// Imports returns the users-imports jobs in the order in which they were made.
func (t *Tenant) Imports() []Import {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.now())
	var out []Import
	for _, j := range t.jobs {
		if j.imported == nil {
			continue
		}
		i := Import{ID: j.id, Created: j.created, Users: len(j.imported.rows), Bytes: j.imported.bytes}
		if j.finished && !j.failed {
			i.Ended = j.created.Add(t.jobStart(j) + time.Duration(i.Users)*t.config.Jobs.PerUser)
		}
		out = append(out, i)
	}
	return out
}

// RoleID returns the id of the role of a name, "" if there is none.
func (t *Tenant) RoleID(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.roleNamed(name); r != nil {
		return r.id
	}
	return ""
}
