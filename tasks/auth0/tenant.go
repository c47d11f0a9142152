package auth0

import (
	"context"
	"net/http"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A tenant is what the tasks of this package do with Auth0. Errors wrap a
// *refusal or a *networkError. CreateUser, StartImport and MailReset send their
// request once; every other method may safely be repeated and is, when the tenant
// or the network falters.
type tenant interface {
	// Scopes returns the scopes that the Management API token was granted.
	Scopes(ctx context.Context) ([]string, error)

	// Connection returns the connection of exactly that name.
	Connection(ctx context.Context, name string) (connection, error)

	// Roles returns the ids of all roles by their names.
	Roles(ctx context.Context) (map[string]string, error)

	// SendsMail tells whether an e-mail template is in use.
	SendsMail(ctx context.Context, template string) (bool, error)

	// CreateUser makes an account at the connection of that name. Its error leaves
	// open whether there is one now, unless it is a refusal with a status under 500.
	CreateUser(ctx context.Context, connection string, u newUser, password redact.Secret) error

	// StartImport starts a job that makes accounts, and returns its id. It sends
	// its request once, and its error leaves open whether there is a job now, as
	// CreateUser's does. errBusy says that the tenant works on as many as it may.
	StartImport(ctx context.Context, connectionID, externalID string, lines []map[string]any) (string, error)

	// ImportJob tells how far a job is. A job that is gone is status 404.
	ImportJob(ctx context.Context, id string) (importJob, error)

	// ImportErrors returns the lines that a job has refused.
	ImportErrors(ctx context.Context, id string) ([]lineError, error)

	// User reads an account by its user_id. A missing one is status 404.
	User(ctx context.Context, id string) (account, error)

	// DeleteUser deletes an account; a missing one is no error.
	DeleteUser(ctx context.Context, id string) error

	// MailReset has the tenant mail a user a link to set a password, by way of an
	// application. It sends its request once; only a refusal with a status under
	// 500 says that no mail went out.
	MailReset(ctx context.Context, application, connection, email string) error

	// SetPassword gives an account another password.
	SetPassword(ctx context.Context, id string, password redact.Secret) error

	// SetMetadata puts values into an account's app_metadata, and leaves the others.
	SetMetadata(ctx context.Context, id string, values map[string]any) error

	// ChangeUser changes an account, without a mail.
	ChangeUser(ctx context.Context, id string, c change) error

	// AssignRole gives a role to accounts; they may have it already. A missing
	// account is status 404, and then no promise is made about the others.
	AssignRole(ctx context.Context, role string, users []string) error

	// RemoveRole takes a role from an account.
	RemoveRole(ctx context.Context, role, user string) error

	// RoleUsers calls each with the user_id of every account that has the role.
	RoleUsers(ctx context.Context, role string, each func(id string)) error

	// ExportUsers calls each with every account of the connection, in no order. It
	// gives up when the tenant has not listed them within the timeout.
	ExportUsers(ctx context.Context, connectionID string, timeout time.Duration, each func(account) error) error

	documents

	// Applications returns the client ids of the applications with that name
	// which carry our mark.
	Applications(ctx context.Context, name string) ([]string, error)

	// CreateApplication makes an application that may ask for tokens with a
	// user's password at the connection.
	CreateApplication(ctx context.Context, name, connectionID string) (application, error)

	// DeleteApplication deletes one; a missing one is no error.
	DeleteApplication(ctx context.Context, clientID string) error
}

// documents are the tenant's settings, as they are on the wire. A path is that of
// the Management API, a part at a time.
type documents interface {
	// Document reads a resource. Its error wraps errNone if there is none.
	Document(ctx context.Context, path ...string) (document, error)

	// Documents lists all resources of a kind that match the parameters; key is the
	// name of the list in the answer.
	Documents(ctx context.Context, key string, parameters map[string]string, path ...string) ([]document, error)

	// Checkpointed lists all resources of a kind where the listing goes from one
	// checkpoint to the next.
	Checkpointed(ctx context.Context, key string, path ...string) ([]document, error)

	// Make makes a resource. It sends its request once.
	Make(ctx context.Context, body document, path ...string) error

	// Mend changes a resource.
	Mend(ctx context.Context, body any, path ...string) error
}

// A connection is a database of users in the tenant.
type connection struct {
	id           string
	strategy     string // auth0 for the tenant's own databases
	applications int    // that may use it; Auth0 counts one with none as disabled
}

// An application may ask for tokens.
type application struct {
	id     string
	secret redact.Secret
}

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
