package auth0

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/auth0/go-auth0/management"
)

// A document is a resource of the tenant as the Management API shows it. The
// SDK's types would lose what they do not know when a whole is written back.
type document = map[string]any

// errNone says that the tenant has no such resource.
var errNone = errors.New("the tenant has none")

// Document reads a resource. Its error wraps errNone if there is none.
func (o *official) Document(ctx context.Context, path ...string) (d document, err error) {
	err = call(ctx, "read "+strings.Join(path, " "), func() error {
		d = nil
		err := o.api.Request(ctx, http.MethodGet, o.api.URI(path...), &d)
		if status(err) == http.StatusNotFound {
			return errNone
		}
		return err
	})
	return d, err
}

// Documents lists all resources of a kind that match the parameters; key is the
// name of the list in the answer.
func (o *official) Documents(ctx context.Context, key string, parameters map[string]string, path ...string) (all []document, err error) {
	const size = 50 // that every listing allows
	for page := 0; ; page++ {
		options := []management.RequestOption{management.Page(page), management.PerPage(size), management.IncludeTotals(true)}
		for name, value := range parameters {
			options = append(options, management.Parameter(name, value))
		}
		var answer map[string]any
		err := call(ctx, "list "+strings.Join(path, " "), func() error {
			answer = nil
			return o.api.Request(ctx, http.MethodGet, o.api.URI(path...), &answer, options...)
		})
		if err != nil {
			return nil, err
		}
		items, _ := answer[key].([]any)
		for _, item := range items {
			if d, ok := item.(document); ok {
				all = append(all, d)
			}
		}
		if len(items) < size {
			return all, nil
		}
	}
}

// Checkpointed lists all resources of a kind where the listing goes from one
// checkpoint to the next.
func (o *official) Checkpointed(ctx context.Context, key string, path ...string) (all []document, err error) {
	for from := ""; ; {
		options := []management.RequestOption{management.Take(100)}
		if from != "" {
			options = append(options, management.From(from))
		}
		var answer map[string]any
		err := call(ctx, "list "+strings.Join(path, " "), func() error {
			answer = nil
			return o.api.Request(ctx, http.MethodGet, o.api.URI(path...), &answer, options...)
		})
		if err != nil {
			return nil, err
		}
		items, _ := answer[key].([]any)
		for _, item := range items {
			if d, ok := item.(document); ok {
				all = append(all, d)
			}
		}
		if from, _ = answer["next"].(string); from == "" {
			return all, nil
		}
	}
}

// Make sends a POST once. Its error leaves open whether it had its effect, unless
// it is a refusal with a status under 500.
func (o *official) Make(ctx context.Context, body document, path ...string) error {
	payload := any(body)
	return plain(ctx, "make "+strings.Join(path, " "), bare(o.api.Request(ctx, http.MethodPost, o.api.URI(path...), payload)))
}

// Mend sends a PATCH, which does the same however often it is sent.
func (o *official) Mend(ctx context.Context, body any, path ...string) error {
	return call(ctx, "change "+strings.Join(path, " "), func() error {
		return o.api.Request(ctx, http.MethodPatch, o.api.URI(path...), body)
	})
}
