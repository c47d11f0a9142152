package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// official is the tenant by way of Auth0's own SDK, the only file that knows it.
// The SDK's retries are off: it would send a POST three times when the
// connection breaks.
type official struct {
	api   *management.Management
	under *transport
}

func newSDK(a Access, under *transport) (*official, error) {
	api, err := management.New(a.Domain,
		management.WithClient(&http.Client{Transport: under}),
		management.WithNoRetries(),
		management.WithStaticToken("the transport puts the real one in"),
	)
	if err != nil {
		return nil, fmt.Errorf("open tenant %s: %w", a.Domain, err)
	}
	return &official{api, under}, nil
}

// call runs one of the SDK's calls, and again when it falters.
func call(ctx context.Context, what string, ask func() error) error {
	return plain(ctx, what, again(ctx, func() error { return bare(ask()) }))
}

// bare takes the error that we know out of the SDK's and net/http's wrapping,
// which quotes addresses and bodies.
func bare(err error) error {
	if hinted, ok := errors.AsType[*task.HintError](err); ok {
		return hinted
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if network, ok := errors.AsType[*networkError](err); ok {
		return network
	}
	return err
}

// plain says what was asked for, and why it did not work.
func plain(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	return explain(fmt.Errorf("%s: %w", what, err))
}

func (o *official) Scopes(ctx context.Context) ([]string, error) {
	g, err := o.under.tokens.get(ctx)
	return g.scopes, err
}

func (o *official) Connection(ctx context.Context, name string) (c connection, err error) {
	err = call(ctx, "find connection "+name, func() error {
		list, err := o.api.Connection.List(ctx, management.Parameter("name", name))
		if err != nil {
			return err
		}
		for _, found := range list.Connections {
			if found.GetName() == name {
				c.id, c.strategy = found.GetID(), found.GetStrategy()
				return nil
			}
		}
		return task.Hint(errors.New("the tenant has none of that name"),
			"check connection: names are case-sensitive; the default one is Username-Password-Authentication")
	})
	if err != nil {
		return c, err
	}
	return c, call(ctx, "list the applications of connection "+name, func() error {
		list, err := o.api.Connection.ReadEnabledClients(ctx, c.id)
		if err == nil {
			c.applications = len(list.GetClients())
		}
		return err
	})
}

func (o *official) Roles(ctx context.Context) (map[string]string, error) {
	roles := map[string]string{}
	for page := 0; ; page++ {
		var list *management.RoleList
		err := call(ctx, "list the roles", func() (err error) {
			list, err = o.api.Role.List(ctx, management.Page(page), management.PerPage(100))
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, r := range list.Roles {
			roles[r.GetName()] = r.GetID()
		}
		if !list.HasNext() {
			return roles, nil
		}
	}
}

func (o *official) SendsMail(ctx context.Context, template string) (on bool, err error) {
	err = call(ctx, "read e-mail template "+template, func() error {
		t, err := o.api.EmailTemplate.Read(ctx, template)
		if status(err) == http.StatusNotFound {
			return nil // never set up, so never sent
		}
		on = err == nil && t.GetEnabled()
		return err
	})
	return on, err
}

func (o *official) CreateUser(ctx context.Context, connection string, u newUser, password redact.Secret) error {
	user := &management.User{
		ID: &u.id, Connection: &connection, Email: &u.email, Password: sdk.String(password.Reveal()),
		EmailVerified: &u.verified, VerifyEmail: sdk.Bool(false), // so that no mail goes out
		AppMetadata: &u.metadata,
	}
	if len(u.userMetadata) > 0 {
		user.UserMetadata = &u.userMetadata
	}
	if u.name != "" {
		user.Name = &u.name
	}
	return plain(ctx, "create user "+u.id, bare(o.api.User.Create(ctx, user)))
}

func (o *official) User(ctx context.Context, id string) (a account, err error) {
	err = call(ctx, "read user "+id, func() error {
		u, err := o.api.User.Read(ctx, id)
		if err == nil {
			a = accountOf(u)
		}
		return err
	})
	return a, err
}

func accountOf(u *management.User) account {
	return account{
		id: u.GetID(), email: u.GetEmail(), blocked: u.GetBlocked(),
		metadata: u.GetAppMetadata(), userMetadata: u.GetUserMetadata(),
		used:    u.GetLoginsCount() > 0 || u.LastLogin != nil || u.LastPasswordReset != nil,
		lastUse: latest(u.LastLogin, u.LastPasswordReset),
	}
}

func (o *official) SetPassword(ctx context.Context, id string, password redact.Secret) error {
	return call(ctx, "set the password of user "+id, func() error {
		return o.api.User.Update(ctx, id, &management.User{Password: sdk.String(password.Reveal())})
	})
}

func (o *official) SetMetadata(ctx context.Context, id string, values map[string]any) error {
	return call(ctx, "set the app_metadata of user "+id, func() error {
		return o.api.User.Update(ctx, id, &management.User{AppMetadata: &values})
	})
}

func (o *official) ChangeUser(ctx context.Context, id string, c change) error {
	user := &management.User{EmailVerified: c.verified}
	if c.email != "" {
		user.Email, user.VerifyEmail = &c.email, sdk.Bool(false) // so that no mail goes out
	}
	if c.name != "" {
		user.Name = &c.name
	}
	if len(c.app) > 0 {
		user.AppMetadata = &c.app
	}
	if len(c.user) > 0 {
		user.UserMetadata = &c.user
	}
	return call(ctx, "change user "+id, func() error { return o.api.User.Update(ctx, id, user) })
}

func (o *official) AssignRole(ctx context.Context, role string, users []string) error {
	list := make([]*management.User, len(users))
	for i := range users {
		list[i] = &management.User{ID: &users[i]}
	}
	return call(ctx, "assign role "+role, func() error { return o.api.Role.AssignUsers(ctx, role, list) })
}

func (o *official) RemoveRole(ctx context.Context, role, user string) error {
	return call(ctx, "remove role "+role+" from user "+user, func() error {
		return o.api.User.RemoveRoles(ctx, user, []*management.Role{{ID: &role}})
	})
}

func (o *official) RoleUsers(ctx context.Context, role string, each func(id string)) error {
	from := ""
	for {
		var list *management.UserList
		err := call(ctx, "list the users of role "+role, func() (err error) {
			options := []management.RequestOption{management.Take(100)}
			if from != "" {
				options = append(options, management.From(from))
			}
			list, err = o.api.Role.Users(ctx, role, options...)
			return err
		})
		if err != nil {
			return err
		}
		for _, u := range list.Users {
			each(u.GetID())
		}
		if from = list.Next; from == "" {
			return nil
		}
	}
}

func (o *official) DeleteUser(ctx context.Context, id string) error {
	return call(ctx, "delete user "+id, func() error { return o.api.User.Delete(ctx, id) })
}
