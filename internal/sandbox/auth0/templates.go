package auth0

import "net/http"

// templateNames are the names of e-mail templates that exist.
func templateNames() []string {
	return []string{
		"verify_email", "verify_email_by_code", "reset_email", "reset_email_by_code", "welcome_email",
		"blocked_account", "stolen_credentials", "enrollment_email", "mfa_oob_code", "user_invitation",
		"change_password", "password_reset", "async_approval",
	}
}

func templateSchema(required ...string) *schema {
	return object(required, map[string]schema{
		"template":               {kind: "string", enum: templateNames(), about: "Template name"},
		"body":                   {kind: "string", null: true, about: "Body of the email template"},
		"from":                   {kind: "string", null: true, about: "Senders from email address"},
		"resultUrl":              {kind: "string", null: true, about: "URL to redirect the user to after a successful action"},
		"subject":                {kind: "string", null: true, about: "Subject line of the email"},
		"syntax":                 {kind: "string", null: true, about: "Syntax of the template body"},
		"urlLifetimeInSeconds":   {kind: "integer", null: true, about: "Lifetime in seconds that the link within the email will be valid for"},
		"includeEmailInRedirect": {kind: "boolean"},
		"enabled":                {kind: "boolean", null: true, about: "Whether the template is enabled (true) or disabled (false)"},
	})
}

func noTemplate(name string) reply {
	return notFound("The template "+name+" does not exist", "inexistent_email_template")
}

// createTemplate is POST /api/v2/email-templates.
func (t *Tenant) createTemplate(c *call) reply {
	name := c.text("template")
	if t.templates.get(name) != nil {
		return conflict("Template "+name+" already exists.", "")
	}
	t.templates.put(c.fields)
	return answer(http.StatusOK, c.fields)
}

// readTemplate is GET /api/v2/email-templates/{name}.
func (t *Tenant) readTemplate(c *call) reply {
	d := t.templates.get(c.PathValue("name"))
	if d == nil {
		return noTemplate(c.PathValue("name"))
	}
	return answer(http.StatusOK, d)
}

// updateTemplate is PATCH /api/v2/email-templates/{name}.
func (t *Tenant) updateTemplate(c *call) reply {
	d := t.templates.get(c.PathValue("name"))
	if d == nil {
		return noTemplate(c.PathValue("name"))
	}
	next := merged(d, c.fields)
	t.templates.put(next)
	return answer(http.StatusOK, next)
}

// replaceTemplate is PUT /api/v2/email-templates/{name}.
func (t *Tenant) replaceTemplate(c *call) reply {
	if t.templates.get(c.PathValue("name")) == nil {
		return noTemplate(c.PathValue("name"))
	}
	next := merged(c.fields, document{"template": c.PathValue("name")})
	t.templates.put(next)
	return answer(http.StatusOK, next)
}

// SetTemplate turns an e-mail template on or off, as an administrator may do in
// the middle of a migration.
func (t *Tenant) SetTemplate(name string, enabled bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := defaults(t.templates.get(name), document{"template": name, "syntax": "liquid"})
	d["enabled"] = enabled
	t.templates.put(d)
}
