package auth0

import "time"

// A Mail is one that the tenant has sent.
type Mail struct {
	Template string    `json:"template"` // as in /api/v2/email-templates/{name}
	UserID   string    `json:"user_id"`
	At       time.Time `json:"at"`
}

// Mails returns what the tenant has sent so far.
func (t *Tenant) Mails() []Mail {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Mail{}, t.mails...)
}

// mail sends a mail if its template is there and enabled.
func (t *Tenant) mail(template, userID string, now time.Time) {
	if on, _ := t.templates.get(template)["enabled"].(bool); on {
		t.mails = append(t.mails, Mail{Template: template, UserID: userID, At: now})
	}
}

// greet sends what goes out when a user is created. verify_email, if given,
// decides about the verification mail, or else whether the address counts as
// verified; the welcome mail goes to everybody.
func (t *Tenant) greet(u *user, fields map[string]any, now time.Time) {
	if u.email == "" {
		return
	}
	wanted, given := fields["verify_email"].(bool)
	if wanted || !given && !u.has(verified) {
		t.mail("verify_email", u.id, now)
	}
	t.mail("welcome_email", u.id, now)
}
