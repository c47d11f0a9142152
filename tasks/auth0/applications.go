package auth0

import (
	"context"
	"net/http"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"

	"github.com/medlogistics/phasegate/internal/redact"
)

// passwordRealm is the grant that logs a user in at a named connection
// (https://auth0.com/docs/get-started/authentication-and-authorization-flow/resource-owner-password-flow).
const passwordRealm = "http://auth0.com/oauth/grant-type/password-realm"

func (o *official) Applications(ctx context.Context, name string) ([]string, error) {
	var ids []string
	for page := 0; ; page++ {
		var list *management.ClientList
		err := call(ctx, "list the applications", func() (err error) {
			list, err = o.api.Client.List(ctx, management.Page(page), management.PerPage(100),
				management.IncludeFields("client_id", "name", "client_metadata"))
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, c := range list.Clients {
			// Names are not unique: one that a person made is not ours to delete.
			if c.GetName() == name && c.GetClientMetadata()[applicationMark] == markValue {
				ids = append(ids, c.GetClientID())
			}
		}
		if !list.HasNext() {
			return ids, nil
		}
	}
}

// applicationMark is the key in client_metadata by which we know our own.
const applicationMark = "managed_by"

func (o *official) CreateApplication(ctx context.Context, name, connectionID string) (application, error) {
	client := &management.Client{
		Name:                    &name,
		Description:             sdk.String("Temporary: for sample logins, deleted right after them"),
		AppType:                 sdk.String("non_interactive"),
		GrantTypes:              &[]string{passwordRealm},
		TokenEndpointAuthMethod: sdk.String("client_secret_post"),
		OIDCConformant:          sdk.Bool(true),
		JWTConfiguration:        &management.ClientJWTConfiguration{Algorithm: sdk.String("RS256")},
		ClientMetadata:          &map[string]any{applicationMark: markValue},
	}
	// Sent once: a second one of the same name would be made, not refused.
	if err := plain(ctx, "create application "+name, bare(o.api.Client.Create(ctx, client))); err != nil {
		return application{}, err
	}
	app := application{client.GetClientID(), redact.NewSecret(client.GetClientSecret())}
	return app, call(ctx, "let application "+name+" use the connection", func() error {
		return o.api.Connection.UpdateEnabledClients(ctx, connectionID,
			[]management.ConnectionEnabledClient{{ClientID: &app.id, Status: sdk.Bool(true)}})
	})
}

func (o *official) DeleteApplication(ctx context.Context, clientID string) error {
	return call(ctx, "delete application "+clientID, func() error {
		err := o.api.Client.Delete(ctx, clientID)
		if status(err) == http.StatusNotFound {
			return nil
		}
		return err
	})
}
