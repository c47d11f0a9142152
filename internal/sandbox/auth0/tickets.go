package auth0

import "net/http"

func ticketSchema() *schema {
	return object(nil, map[string]schema{
		"result_url":             {kind: "string", about: "URL the user will be redirected to once the ticket is used"},
		"user_id":                {kind: "string", about: "user_id of for whom the ticket should be created"},
		"connection_id":          {kind: "string", about: "ID of the connection"},
		"email":                  {kind: "string", format: "email", about: "Email address of the user"},
		"ttl_sec":                {kind: "integer", about: "Number of seconds for which the ticket is valid before expiration"},
		"mark_email_as_verified": {kind: "boolean"},
		"includeEmailInRedirect": {kind: "boolean"},
		"client_id":              {kind: "string"},
		"organization_id":        {kind: "string"},
		"identity":               {},
	})
}

func emailTicketSchema() *schema {
	s := ticketSchema()
	s.required = []string{"user_id"}
	for _, name := range []string{"connection_id", "email", "mark_email_as_verified"} {
		delete(s.props, name)
	}
	return s
}

// ticketFor makes a ticket, which never sends a mail. Its page is not served:
// [Tenant.SetPassword] does what a user does there.
func (t *Tenant) ticketFor(c *call, page string) reply {
	u := t.users.byID[c.text("user_id")]
	if id := c.text("connection_id"); id != "" {
		u = t.users.in(text(t.connections.get(id), "name"), c.text("email"))
	}
	if u == nil {
		return noUser()
	}
	ticket := "https://" + c.domain + "/u/" + page + "?ticket=" + randomID(alphanumeric, 32) + "#"
	return answer(http.StatusCreated, document{"ticket": ticket})
}

// passwordTicket is POST /api/v2/tickets/password-change.
func (t *Tenant) passwordTicket(c *call) reply { return t.ticketFor(c, "reset-password") }

// emailTicket is POST /api/v2/tickets/email-verification.
func (t *Tenant) emailTicket(c *call) reply { return t.ticketFor(c, "email-verification") }

// changePassword is POST /dbconnections/change_password: Auth0 mails the user a
// link, and tells nobody whether there is such a user.
func (t *Tenant) changePassword(c *call) reply {
	form, ok := c.form()
	if !ok || form.Get("email") == "" || form.Get("connection") == "" {
		return answer(http.StatusBadRequest, document{"error": "email and connection are required"})
	}
	if u := t.account(form.Get("connection"), form.Get("email")); u != nil {
		t.mails = append(t.mails, Mail{Template: "reset_email", UserID: u.id, At: c.now})
	}
	return reply{
		status: http.StatusOK, body: []byte("We've just sent you an email to reset your password."),
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
	}
}
