package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// action compares an Action: its code, that this code is what is deployed, and
// that it is bound.
func (s *site) action(ctx context.Context, a Action) error {
	what := "Action " + a.Name
	find := func() (document, error) {
		all, err := s.tenant.Documents(ctx, "actions", map[string]string{"actionName": a.Name}, "actions", "actions")
		if err != nil {
			return nil, err
		}
		return one(all, "Action", "name", a.Name, "id")
	}
	want := document{"code": a.Code, "runtime": a.Runtime}
	have, err := find()
	switch {
	case errors.Is(err, errNone):
		body := plainJSON(want)
		body["name"] = a.Name
		body["supported_triggers"] = []any{document{"id": a.Trigger, "version": a.Version}}
		have, err = s.lacks(ctx, what, body, find, "actions", "actions")
	case err == nil:
		err = s.mendFields(ctx, what, have, want, "actions", "actions", word(have, "id"))
	}
	if err != nil {
		return err
	}
	if err := s.deployed(ctx, what, word(have, "id"), a); err != nil {
		return err
	}
	return s.bound(ctx, what, a)
}

// deployed holds that what runs is the code that is wanted.
func (s *site) deployed(ctx context.Context, what, id string, a Action) error {
	if id == "" {
		return nil // it is missing as a whole
	}
	have, err := s.tenant.Document(ctx, "actions", "actions", id)
	if err != nil {
		return err
	}
	running, _ := have["deployed_version"].(document)
	if word(running, "code") == a.Code && word(running, "runtime") == a.Runtime && have["all_changes_deployed"] != false {
		return nil
	}
	return s.differs(what+": not deployed", func() error { return s.deploy(ctx, what, id) })
}

// deploy waits until the Action is built and deploys it. To deploy it twice does
// no harm.
func (s *site) deploy(ctx context.Context, what, id string) error {
	deadline := time.Now().Add(s.wait)
	for wait := firstBackoff / 5; ; wait = min(2*wait, 2*time.Second) {
		have, err := s.tenant.Document(ctx, "actions", "actions", id)
		if err != nil {
			return err
		}
		state := word(have, "status")
		switch state {
		case "built":
			err := again(ctx, func() error { return s.tenant.Make(ctx, document{}, "actions", "actions", id, "deploy") })
			if status(err) != http.StatusBadRequest {
				return err
			}
			// The tenant has built it and says that it has not: ask once more.
		case "failed":
			return task.Hint(fmt.Errorf("%s: the tenant could not build it", what), "correct its code: the tenant's dashboard shows what is wrong")
		}
		if time.Now().After(deadline) {
			return task.Hint(fmt.Errorf("%s: not built after %s, it is %s", what, s.wait, state), "check status.auth0.com, then run again")
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// bound holds that the Action is bound to its trigger. The others that are bound
// stay as they are, in their order: the API replaces the whole list.
func (s *site) bound(ctx context.Context, what string, a Action) error {
	path := []string{"actions", "triggers", a.Trigger, "bindings"}
	have, err := s.tenant.Documents(ctx, "bindings", nil, path...)
	if err != nil {
		return err
	}
	list := []any{}
	for _, b := range have {
		action, _ := b["action"].(document)
		if action["name"] == a.Name {
			return nil
		}
		list = append(list, document{
			"ref":          document{"type": "binding_id", "value": b["id"]},
			"display_name": b["display_name"],
		})
	}
	list = append(list, document{
		"ref":          document{"type": "action_name", "value": a.Name},
		"display_name": a.Name,
	})
	return s.differs(what+": not bound to "+a.Trigger, func() error {
		return s.tenant.Mend(ctx, document{"bindings": list}, path...)
	})
}
