package auth0

import (
	"context"
	"net/http"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A tenant is what the tasks of this package do with Auth0. Errors wrap a
// *refusal or a *networkError. CreateUser sends its request once; every other
// method may safely be repeated and is, when the tenant or the network falters.
type tenant interface {
	// Scopes returns the scopes that the Management API token was granted.
	Scopes(ctx context.Context) ([]string, error)

	// Connection returns the connection of exactly that name.
	Connection(ctx context.Context, name string) (connection, error)

	// Roles returns the ids of all roles by their names.
	Roles(ctx context.Context) (map[string]string, error)

	// SendsMail tells whether an e-mail template is in use.
	SendsMail(ctx context.Context, template string) (bool, error)

	// CreateUser makes an account. Its error leaves open whether there is one
	// now, unless it is a refusal with a status under 500.
	CreateUser(ctx context.Context, u newUser) error

	// User reads an account by its user_id. A missing one is status 404.
	User(ctx context.Context, id string) (account, error)

	// SetPassword gives an account another password.
	SetPassword(ctx context.Context, id string, password redact.Secret) error

	// SetMetadata puts values into an account's app_metadata, and leaves the others.
	SetMetadata(ctx context.Context, id string, values map[string]any) error

	// AssignRole gives a role to accounts; they may have it already. A missing
	// account is status 404, and then no promise is made about the others.
	AssignRole(ctx context.Context, role string, users []string) error

	// RemoveRole takes a role from an account.
	RemoveRole(ctx context.Context, role, user string) error

	// RoleUsers calls each with the user_id of every account that has the role.
	RoleUsers(ctx context.Context, role string, each func(id string)) error

	// ExportUsers calls each with every account of the connection, in no order.
	ExportUsers(ctx context.Context, connectionID string, each func(account) error) error

	// Applications returns the client ids of the applications with that name
	// which carry our mark.
	Applications(ctx context.Context, name string) ([]string, error)

	// CreateApplication makes an application that may ask for tokens with a
	// user's password at the connection.
	CreateApplication(ctx context.Context, name, connectionID string) (application, error)

	// DeleteApplication deletes one; a missing one is no error.
	DeleteApplication(ctx context.Context, clientID string) error
}

// A connection is a database of users in the tenant.
type connection struct {
	id           string
	strategy     string // auth0 for the tenant's own databases
	applications int    // that may use it; Auth0 counts one with none as disabled
}

// A newUser is an account to be made.
type newUser struct {
	id       string // without the "auth0|" that the tenant puts in front
	email    string
	name     string // "" for none
	password redact.Secret
	conn     string // the connection's name
	metadata map[string]any
}

// An account is a user of the tenant.
type account struct {
	id       string // user_id, with the strategy in front
	email    string
	metadata map[string]any
	blocked  bool
	used     bool // has logged in, or changed the password
}

// An application may ask for tokens.
type application struct {
	id     string
	secret redact.Secret
}

// The marks in an account's app_metadata by which we know it again.
const (
	markOurs  = "migrated_by"
	markValue = "phasegate"
	markRow   = "local_id" // the row's id, as text
	markRole  = "role"     // the row's role, as the table names it
)

// mark returns the app_metadata of a row's account.
func mark(r row) map[string]any {
	return map[string]any{markOurs: markValue, markRow: r.id, markRole: r.role}
}

// text returns a string of the account's app_metadata, "" if there is none.
func (a account) text(key string) string {
	s, _ := a.metadata[key].(string)
	return s
}

// ours tells whether the account was made by us, for whatever row.
func (a account) ours() bool { return a.metadata[markOurs] == markValue }

// prefix is what a tenant puts before the user_id of its own databases' users.
const prefix = "auth0|"

// open returns the tenant, and the pacer that all its requests go through.
func open(a Access) (tenant, *pacer, error) {
	base, err := a.transport()
	if err != nil {
		return nil, nil, err
	}
	return openOver(a, base)
}

func openOver(a Access, base http.RoundTripper) (tenant, *pacer, error) {
	t := &transport{base: base, tokens: newTokens(a, base), pace: newPacer(float64(a.Share))}
	s, err := newSDK(a, t)
	return s, t.pace, err
}
