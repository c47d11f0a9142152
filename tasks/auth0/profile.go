package auth0

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// The marks in an account's app_metadata by which we know it again.
const (
	markOurs  = "migrated_by"
	markValue = "phasegate"
	markRow   = "local_id"   // the row's id, as text
	markRole  = "role"       // the row's role, as the table names it
	markRun   = "run"        // the run that made the account
	markReset = "must_reset" // true where the account's password is one that nobody knows
	markMail  = "reset_mail" // when the user was mailed a link to set a password

	// markSample is until when what happened to the account was a sample login: a
	// time of the tenant's clock, in the form sampleTime.
	markSample = "sampled"
)

// marks returns the keys of app_metadata that are ours.
func marks() []string {
	return []string{markOurs, markRow, markRole, markRun, markReset, markMail, markSample}
}

// A newUser is an account to be made.
type newUser struct {
	id           string // without the "auth0|" that the tenant puts in front
	email        string
	name         string // "" for none
	verified     bool
	metadata     map[string]any // app_metadata
	userMetadata map[string]any
}

// mark returns the app_metadata of a row's account with a password that nobody
// knows, made by no run in particular.
func mark(r row) map[string]any {
	return map[string]any{markOurs: markValue, markRow: r.id, markRole: r.role, markReset: true}
}

// newUser returns the account of a row. keeps tells that its password comes along.
func (t *ImportUsers) newUser(r row, keeps bool) newUser {
	metadata := objectOf(r.appMeta)
	maps.Copy(metadata, mark(r))
	metadata[markReset] = !keeps
	if t.RunID != "" {
		metadata[markRun] = t.RunID
	}
	return newUser{
		id: t.Users.IDPrefix + r.id, email: r.email, name: r.name, verified: r.verified,
		metadata: metadata, userMetadata: objectOf(r.userMeta),
	}
}

// objectOf reads a JSON object that the database wrote, "" for an empty one.
func objectOf(text string) map[string]any {
	object := map[string]any{}
	_ = json.Unmarshal([]byte(text), &object) // "" leaves it empty
	return object
}

// line returns the account as a row of a users-imports file.
func (u newUser) line() map[string]any {
	line := map[string]any{
		"user_id": u.id, "email": u.email, "email_verified": u.verified, "app_metadata": u.metadata,
	}
	if u.name != "" {
		line["name"] = u.name
	}
	if len(u.userMetadata) > 0 {
		line["user_metadata"] = u.userMetadata
	}
	return line
}

// An account is a user of the tenant.
type account struct {
	id           string // user_id, with the strategy in front
	email        string
	metadata     map[string]any // app_metadata
	userMetadata map[string]any
	blocked      bool
	used         bool      // has logged in, or changed the password
	lastUse      time.Time // when, by the tenant's clock; zero if it does not say
}

// sampleTime is how markSample is written: to the millisecond, as the tenant's
// own times are.
const sampleTime = "2006-01-02T15:04:05.000Z07:00"

// text returns a string of the account's app_metadata, "" if there is none.
func (a account) text(key string) string {
	s, _ := a.metadata[key].(string)
	return s
}

// ours tells whether the account was made by us, for whatever row.
func (a account) ours() bool { return a.metadata[markOurs] == markValue }

// mustReset tells whether nobody can log in before setting a password. Accounts
// that were made before the mark was count as such. A sample login leaves a
// password that nobody knows, whatever the account had before.
func (a account) mustReset() bool {
	if sampled, err := time.Parse(sampleTime, a.text(markSample)); err == nil {
		return !a.lastUse.After(sampled)
	}
	return !a.used && a.metadata[markReset] != false
}

// latest returns the later of two times, either of which may be unknown.
func latest(a, b *time.Time) (last time.Time) {
	for _, t := range []*time.Time{a, b} {
		if t != nil && t.After(last) {
			last = *t
		}
	}
	return last
}

// pick writes those of the keys that the values have, in their order, so that
// equal ones give equal text.
func pick(values map[string]any, keys map[string]string) string {
	if len(keys) == 0 {
		return ""
	}
	picked := make(map[string]any, len(keys))
	for key := range keys {
		if value := values[key]; value != nil {
			picked[key] = value
		}
	}
	text, err := json.Marshal(picked)
	return fmt.Sprint(string(text), err)
}
