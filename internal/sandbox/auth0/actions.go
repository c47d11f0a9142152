package auth0

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// An action is a function that runs in a trigger. Its fields are the draft;
// what runs is the deployed version.
type action struct {
	id       string
	name     string
	draft    draft
	created  time.Time
	updated  time.Time
	versions []*version // oldest first
	deployed *version
}

// A draft is what can be edited.
type draft struct {
	triggers, dependencies []any
	secrets                []any // names and times, never values
	code, runtime          string
	changed                time.Time
}

// A version is a draft as it was when it was deployed.
type version struct {
	id     string
	number int
	draft
	created time.Time
}

// actionStore holds the Actions and what is bound to the triggers.
type actionStore struct {
	all      []*action
	bindings map[string][]binding // by trigger id
}

func newActionStore() *actionStore { return &actionStore{bindings: map[string][]binding{}} }

func (s *actionStore) get(id string) *action {
	at := slices.IndexFunc(s.all, func(a *action) bool { return a.id == id })
	if at < 0 {
		return nil
	}
	return s.all[at]
}

func (s *actionStore) named(name string) *action {
	at := slices.IndexFunc(s.all, func(a *action) bool { return a.name == name })
	if at < 0 {
		return nil
	}
	return s.all[at]
}

func noAction() reply { return notFound("That action does not exist.", "") }

func actionProps() map[string]schema {
	named := func(props string) *schema {
		return &schema{kind: "object", props: anyOf(props)}
	}
	return map[string]schema{
		"name":               {kind: "string", shortest: 1, about: "The name of an action"},
		"supported_triggers": {kind: "array", shortest: 1, items: named("id version status runtimes default_runtime compatible_triggers binding_policy")},
		"code":               {kind: "string", about: "The source code of the action"},
		"dependencies":       {kind: "array", items: named("name version registry_url metadata")},
		"runtime":            {kind: "string", about: "The Node runtime"},
		"secrets":            {kind: "array", items: named("name value updated_at")},
		"modules":            {kind: "array"},
	}
}

func createActionSchema() *schema {
	return object([]string{"name", "supported_triggers"}, with(actionProps(), map[string]schema{
		"deploy": {kind: "boolean", about: "True if the action should be deployed after creation"},
	}))
}

func updateActionSchema() *schema { return object(nil, actionProps()) }

// apply sets the draft from a body.
func (a *action) apply(fields map[string]any, now time.Time) {
	if name, ok := fields["name"].(string); ok {
		a.name = name
	}
	d := &a.draft
	for key, into := range map[string]*[]any{"supported_triggers": &d.triggers, "dependencies": &d.dependencies} {
		if list, ok := fields[key].([]any); ok {
			*into = list
		}
	}
	for key, into := range map[string]*string{"code": &d.code, "runtime": &d.runtime} {
		if s, ok := fields[key].(string); ok {
			*into = s
		}
	}
	if list, ok := fields["secrets"].([]any); ok {
		d.secrets = []any{}
		for _, item := range list {
			secret, _ := item.(map[string]any)
			d.secrets = append(d.secrets, document{"name": secret["name"], "updated_at": nanoseconds(now)})
		}
	}
	d.changed, a.updated = now, now
}

// nanoseconds writes a time as the Actions endpoints do.
func nanoseconds(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// status returns how far the build of the draft is.
func (t *Tenant) status(d draft, now time.Time) string {
	switch since := now.Sub(d.changed); {
	case since < t.config.ActionBuild:
		return "pending"
	case since < 2*t.config.ActionBuild:
		return "building"
	}
	return "built"
}

// createAction is POST /api/v2/actions/actions.
func (t *Tenant) createAction(c *call) reply {
	if t.actions.named(c.text("name")) != nil {
		return conflict("An action with the same name already exists.", "")
	}
	a := &action{id: uuid(), created: c.now, draft: draft{dependencies: []any{}, secrets: []any{}, runtime: "node22"}}
	a.apply(c.fields, c.now)
	t.actions.all = append(t.actions.all, a)
	view := t.actionView(a, c.now)
	view["status"] = "pending" // the build begins after the answer
	if c.flag("deploy") {
		a.deploy(a.draft, c.now)
		view = t.actionView(a, c.now)
	}
	return answer(http.StatusCreated, view)
}

func (a *action) deploy(d draft, now time.Time) *version {
	v := &version{id: uuid(), number: len(a.versions) + 1, draft: d, created: now}
	a.versions, a.deployed = append(a.versions, v), v
	return v
}

// deployAction is POST /api/v2/actions/actions/{id}/deploy.
func (t *Tenant) deployAction(c *call) reply {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return noAction()
	}
	if t.status(a.draft, c.now) != "built" {
		return badRequest("A draft must be in the 'built' state before it can be deployed.", "")
	}
	v := a.deploy(a.draft, c.now)
	view := t.versionView(a, v, c.now)
	view["deployed"] = false // done a moment after the answer
	delete(view, "built_at")
	return answer(http.StatusOK, view)
}

// deployVersion is POST /api/v2/actions/actions/{id}/versions/{version}/deploy.
func (t *Tenant) deployVersion(c *call) reply {
	a, v := t.actionVersion(c)
	if v == nil {
		return noAction()
	}
	view := t.versionView(a, a.deploy(v.draft, c.now), c.now)
	view["deployed"] = false
	delete(view, "built_at")
	return answer(http.StatusOK, view)
}

func (t *Tenant) actionVersion(c *call) (*action, *version) {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return nil, nil
	}
	for _, v := range a.versions {
		if v.id == c.PathValue("version") {
			return a, v
		}
	}
	return a, nil
}

// readVersion is GET /api/v2/actions/actions/{id}/versions/{version}.
func (t *Tenant) readVersion(c *call) reply {
	a, v := t.actionVersion(c)
	if v == nil {
		return notFound("That action version does not exist.", "")
	}
	return answer(http.StatusOK, t.versionView(a, v, c.now))
}

// listVersions is GET /api/v2/actions/actions/{id}/versions.
func (t *Tenant) listVersions(c *call) reply {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return noAction()
	}
	all := []document{}
	for _, v := range a.versions {
		all = append(all, t.versionView(a, v, c.now))
	}
	return c.listActions("versions", all)
}

// listActions answers with a page in the form of the Actions endpoints.
func (c *call) listActions(name string, all []document) reply {
	p, refused, ok := c.page(20, 100)
	if !ok {
		return refused
	}
	return answer(http.StatusOK, document{name: slice(all, p), "total": len(all), "per_page": p.size})
}

// listAllActions is GET /api/v2/actions/actions.
func (t *Tenant) listAllActions(c *call) reply {
	name, trigger := c.query.Get("actionName"), c.query.Get("triggerId")
	all := []document{}
	for _, a := range t.actions.all {
		if (name == "" || a.name == name) && (trigger == "" || a.supports(trigger)) {
			all = append(all, t.actionView(a, c.now))
		}
	}
	return c.listActions("actions", all)
}

func (a *action) supports(trigger string) bool {
	return slices.ContainsFunc(a.draft.triggers, func(item any) bool {
		d, _ := item.(map[string]any)
		return text(d, "id") == trigger
	})
}

// readAction is GET /api/v2/actions/actions/{id}.
func (t *Tenant) readAction(c *call) reply {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return noAction()
	}
	return answer(http.StatusOK, t.actionView(a, c.now))
}

// updateAction is PATCH /api/v2/actions/actions/{id}. The draft has to be built
// and deployed again.
func (t *Tenant) updateAction(c *call) reply {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return noAction()
	}
	a.apply(c.fields, c.now)
	view := t.actionView(a, c.now)
	view["status"] = "pending"
	return answer(http.StatusOK, view)
}

// deleteAction is DELETE /api/v2/actions/actions/{id}.
func (t *Tenant) deleteAction(c *call) reply {
	a := t.actions.get(c.PathValue("id"))
	if a == nil {
		return noAction()
	}
	for trigger, all := range t.actions.bindings {
		bound := func(b binding) bool { return b.action == a }
		if slices.ContainsFunc(all, bound) && c.query.Get("force") != "true" {
			return fail(http.StatusConflict, "Cannot delete an action that is bound to a trigger.", "")
		}
		t.actions.bindings[trigger] = slices.DeleteFunc(all, bound)
	}
	t.actions.all = slices.DeleteFunc(t.actions.all, func(o *action) bool { return o == a })
	return reply{status: http.StatusNoContent}
}

// actionView is an Action as the API shows it.
func (t *Tenant) actionView(a *action, now time.Time) document {
	d := a.draft
	view := a.shortView()
	view["updated_at"] = nanoseconds(a.updated)
	view["code"], view["dependencies"], view["runtime"] = d.code, t.dependencies(d, now), d.runtime
	view["secrets"], view["status"] = d.secrets, t.status(d, now)
	if v := a.deployed; v != nil {
		current := document{
			"id": v.id, "code": v.code, "runtime": v.runtime, "status": strings.ToUpper(t.status(v.draft, now)),
			"number": v.number, "created_at": nanoseconds(v.created), "updated_at": nanoseconds(v.created),
		}
		if t.status(v.draft, now) == "built" {
			current["build_time"] = nanoseconds(v.created)
		}
		view["current_version"] = current
		deployed := t.versionView(a, v, now)
		delete(deployed, "action")
		view["deployed_version"] = deployed
	}
	return view
}

// dependencies are shown without their registry once they are built in.
func (t *Tenant) dependencies(d draft, now time.Time) []any {
	if t.status(d, now) != "built" {
		return d.dependencies
	}
	out := make([]any, 0, len(d.dependencies))
	for _, item := range d.dependencies {
		dependency, _ := item.(map[string]any)
		out = append(out, document{"name": dependency["name"], "version": dependency["version"]})
	}
	return out
}

// shortView is an Action inside another object.
func (a *action) shortView() document {
	return document{
		"id": a.id, "name": a.name, "supported_triggers": a.draft.triggers,
		"created_at": nanoseconds(a.created), "updated_at": nanoseconds(a.created),
		"all_changes_deployed": a.deployed != nil && !a.deployed.created.Before(a.draft.changed),
	}
}

func (t *Tenant) versionView(a *action, v *version, now time.Time) document {
	view := document{
		"id": v.id, "number": v.number, "code": v.code, "dependencies": t.dependencies(v.draft, now), "secrets": v.secrets,
		"runtime": v.runtime, "supported_triggers": v.triggers, "status": t.status(v.draft, now),
		"deployed": a.deployed == v, "created_at": nanoseconds(v.created), "updated_at": nanoseconds(v.created),
		"action": a.shortView(),
	}
	if view["status"] == "built" {
		view["built_at"] = nanoseconds(v.created)
	}
	return view
}
