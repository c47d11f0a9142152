package auth0

import (
	"net/http"
	"time"
)

// postLogin is the trigger in which the tenant runs Actions.
const postLogin = "post-login"

// A binding puts an Action into a trigger.
type binding struct {
	id, display string
	action      *action
	created     time.Time
}

func bindingsSchema() *schema {
	ref := object([]string{"type", "value"}, map[string]schema{
		"type":  {kind: "string", enum: []string{"binding_id", "action_id", "action_name"}},
		"value": {kind: "string"},
	})
	item := object(nil, map[string]schema{
		"ref": *ref, "display_name": {kind: "string", shortest: 1},
		"secrets": {kind: "array"}, "id": {kind: "string"},
	})
	return object([]string{"bindings"}, map[string]schema{"bindings": {kind: "array", longest: 20, items: item}})
}

// listBindings is GET /api/v2/actions/triggers/{trigger}/bindings.
func (t *Tenant) listBindings(c *call) reply {
	trigger := c.PathValue("trigger")
	all := []document{}
	for _, b := range t.actions.bindings[trigger] {
		all = append(all, t.bindingView(trigger, b, c.now))
	}
	return c.listActions("bindings", all)
}

// updateBindings is PATCH /api/v2/actions/triggers/{trigger}/bindings. It
// replaces the whole list.
func (t *Tenant) updateBindings(c *call) reply {
	trigger := c.PathValue("trigger")
	items, _ := c.fields["bindings"].([]any)
	next := []binding{}
	for _, item := range items {
		d, _ := item.(map[string]any)
		b, ok := t.bindingFor(trigger, d, c.now)
		switch {
		case !ok:
			return noAction()
		case b.action.deployed == nil:
			return badRequest("Only deployed actions can be bound to a trigger.", "")
		case !b.action.supports(trigger):
			return badRequest("The action does not support the trigger.", "")
		}
		next = append(next, b)
	}
	t.actions.bindings[trigger] = next
	views := []document{}
	for _, b := range next {
		views = append(views, t.bindingView(trigger, b, c.now))
	}
	return answer(http.StatusOK, document{"bindings": views})
}

func (t *Tenant) bindingFor(trigger string, d document, now time.Time) (binding, bool) {
	ref := nested(d, "ref")
	b := binding{id: uuid(), display: text(d, "display_name"), created: now}
	switch text(ref, "type") {
	case "action_id":
		b.action = t.actions.get(text(ref, "value"))
	case "action_name":
		b.action = t.actions.named(text(ref, "value"))
	default:
		for _, old := range t.actions.bindings[trigger] {
			if old.id == text(ref, "value") {
				b.id, b.action, b.created = old.id, old.action, old.created
			}
		}
	}
	if b.action != nil && b.display == "" {
		b.display = b.action.name
	}
	return b, b.action != nil
}

func (t *Tenant) bindingView(trigger string, b binding, now time.Time) document {
	inner := b.action.shortView()
	full := t.actionView(b.action, now)
	inner["current_version"], inner["deployed_version"] = full["current_version"], full["deployed_version"]
	return document{
		"id": b.id, "trigger_id": trigger, "action": inner, "display_name": b.display,
		"created_at": nanoseconds(b.created), "updated_at": nanoseconds(b.created),
	}
}

// triggers are those that Actions here are bound to.
func triggers() []string {
	return []string{postLogin, "credentials-exchange", "pre-user-registration", "post-user-registration", "post-change-password"}
}

// listTriggers is GET /api/v2/actions/triggers.
func (t *Tenant) listTriggers(*call) reply {
	runtimes := []string{"node18", "node22"}
	trigger := func(id, version, status string) document {
		return document{
			"id": id, "version": version, "status": status, "runtimes": runtimes,
			"default_runtime": "node22", "compatible_triggers": []document{},
		}
	}
	all := []document{trigger(postLogin, "v1", "DEPRECATED"), trigger(postLogin, "v2", "DEPRECATED"), trigger(postLogin, "v3", "CURRENT")}
	for _, id := range triggers()[1:] {
		all = append(all, trigger(id, "v2", "CURRENT"))
	}
	return answer(http.StatusOK, document{"triggers": all})
}
