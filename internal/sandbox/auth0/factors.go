package auth0

import (
	"net/http"
	"slices"
	"strings"
)

// An authentication method is a factor of a user that the API manages. Logins
// here ask for none.

func methodProps() map[string]schema {
	return with(anyOf(`name totp_secret phone_number email key_id transports user_handle public_key relying_party_identifier
		preferred_authentication_method aaguid credential_device_type credential_backed_up identity_user_id user_agent`), map[string]schema{
		"type": {kind: "string", enum: []string{"phone", "email", "totp", "webauthn-roaming", "passkey"}, about: "Type of authentication method."},
	})
}

func factorEndpoints() []endpoint {
	const at = " /api/v2/users/{id}/authentication-methods"
	read, remove := one("read:authentication_methods"), one("delete:authentication_methods")
	item := object([]string{"type"}, methodProps())
	return []endpoint{
		{"POST" + at, one("create:authentication_methods"), item, (*Tenant).createMethod},
		{"GET" + at, read, nil, (*Tenant).listMethods},
		{"PUT" + at, one("update:authentication_methods"), &schema{kind: "array", items: item}, (*Tenant).replaceMethods},
		{"DELETE" + at, remove, nil, (*Tenant).deleteMethods},
		{"GET" + at + "/{method}", read, nil, (*Tenant).readMethod},
		{"PATCH" + at + "/{method}", one("update:authentication_methods"), object(nil, anyOf("name preferred_authentication_method")), (*Tenant).updateMethod},
		{"DELETE" + at + "/{method}", remove, nil, (*Tenant).deleteMethod},
	}
}

// newMethod makes a method of a body. What is secret of it is not kept.
func newMethod(fields document, c *call) document {
	kind, local := text(fields, "type"), "dev_"+randomID(alphanumeric, 16)
	method := merged(fields, document{"id": kind + "|" + local, "created_at": timestamp(c.now), "totp_secret": nil})
	if kind == "phone" {
		how := text(fields, "preferred_authentication_method")
		if how == "" {
			how = "sms"
		}
		method["preferred_authentication_method"] = how
		method["authentication_methods"] = []any{document{"id": how + "|" + local, "type": how}}
	}
	return method
}

// masked hides a method's address, as every answer does but that of PUT.
func masked(method document) document {
	out := defaults(method, nil)
	if email := text(method, "email"); email != "" {
		local, host, _ := strings.Cut(email, "@")
		out["email"] = local[:max(0, len(local)-4)] + "****@" + host[:min(4, len(host))] + "*******"
	}
	if phone := text(method, "phone_number"); len(phone) > 4 {
		out["phone_number"] = strings.Repeat("X", len(phone)-4) + phone[len(phone)-4:]
	}
	return out
}

// confirmed is a method as it is read.
func confirmed(method document) document {
	return defaults(masked(method), document{"confirmed": true})
}

// createMethod is POST /api/v2/users/{id}/authentication-methods.
func (t *Tenant) createMethod(c *call) reply {
	id := c.PathValue("id")
	if t.users.byID[id] == nil {
		return noUser()
	}
	method := newMethod(c.fields, c)
	t.methods[id] = append(t.methods[id], method)
	return answer(http.StatusCreated, masked(method))
}

// listMethods is GET of the same.
func (t *Tenant) listMethods(c *call) reply {
	id := c.PathValue("id")
	if t.users.byID[id] == nil {
		return noUser()
	}
	p, refused, ok := c.page(50, 100)
	if !ok {
		return refused
	}
	all := []document{}
	for _, method := range t.methods[id] {
		all = append(all, confirmed(method))
	}
	if !p.totals {
		return answer(http.StatusOK, slice(all, p))
	}
	view := document{"authenticators": slice(all, p), "start": p.start, "limit": p.size}
	if len(all) > 0 { // recorded: an empty list has no total
		view["total"] = len(all)
	}
	return answer(http.StatusOK, view)
}

// replaceMethods is PUT of the same.
func (t *Tenant) replaceMethods(c *call) reply {
	id := c.PathValue("id")
	if t.users.byID[id] == nil {
		return noUser()
	}
	methods := []document{}
	for _, item := range c.list {
		fields, _ := item.(map[string]any)
		methods = append(methods, newMethod(fields, c))
	}
	t.methods[id] = methods
	return answer(http.StatusOK, methods)
}

// deleteMethods is DELETE of the same.
func (t *Tenant) deleteMethods(c *call) reply {
	delete(t.methods, c.PathValue("id"))
	return reply{status: http.StatusNoContent}
}

// method returns the place of the method that a path names, -1 if there is none.
func (t *Tenant) method(c *call) int {
	return slices.IndexFunc(t.methods[c.PathValue("id")], func(d document) bool { return d["id"] == c.PathValue("method") })
}

func noMethod() reply {
	return notFound("The authentication method does not exist.", "inexistent_authentication_method")
}

// readMethod is GET /api/v2/users/{id}/authentication-methods/{method}.
func (t *Tenant) readMethod(c *call) reply {
	at := t.method(c)
	if at < 0 {
		return noMethod()
	}
	return answer(http.StatusOK, confirmed(t.methods[c.PathValue("id")][at]))
}

// updateMethod is PATCH of the same.
func (t *Tenant) updateMethod(c *call) reply {
	at := t.method(c)
	if at < 0 {
		return noMethod()
	}
	methods := t.methods[c.PathValue("id")]
	methods[at] = merged(methods[at], c.fields)
	return answer(http.StatusOK, masked(methods[at]))
}

// deleteMethod is DELETE of the same.
func (t *Tenant) deleteMethod(c *call) reply {
	if at := t.method(c); at >= 0 {
		id := c.PathValue("id")
		t.methods[id] = slices.Delete(slices.Clone(t.methods[id]), at, at+1)
	}
	return reply{status: http.StatusNoContent}
}
