package auth0

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// SampleLogin proves that users who were moved can log in: for each role it takes
// one whose account has a password that nobody knows, gives the account a random
// one, logs in at the tenant's token endpoint, checks the token's signature,
// issuer, audience and role claim, and calls the API with it, which must answer
// 200. Then the account gets another random password.
//
// Before that the account is marked, in its app_metadata: auth0/reset-passwords
// and auth0/reset-progress do not take the sample login for its user's, whose
// password nobody knows until that user has set one. A killed run leaves the mark.
//
// The logins go through an application that is made for them, with the
// password-realm grant, and deleted afterwards. One that a killed run left
// behind is deleted by the next. No password and no token is stored or logged.
//
// Users who have logged in, who have set a password or whose password has moved,
// and users who were mailed a link to set one are not taken, but for reuse. Roles
// with no other user who was moved are left out. When that is so for every role
// the step is skipped, unless nobody was moved at all.
//
// The application needs the scopes read:users, update:users, read:connections,
// update:connections, read:roles, read:clients, create:clients and delete:clients.
type SampleLogin struct {
	Access
	Mapping

	// The API's identifier in the tenant, which its tokens are for.
	Audience string `with:"audience,required"`

	// Whether to take accounts too that somebody may have a password for. They get
	// another one: only where all that Users names were made for tests. Default
	// false.
	Reuse bool `with:"reuse"`

	// The address that is called with the token, such as
	// https://api.example.com/me.
	URL string `with:"url,required"`

	// The claim of the access token that lists the user's roles.
	Claim string `with:"claim,required"`
}

// LoggedIn is what was proven.
type LoggedIn struct {
	Logins  int64    `json:"logins"`       // that the API accepted, with the right role
	Roles   []string `json:"roles"`        // of the tenant, that these logins had
	LeftOut []string `json:"left_out"`     // roles without a user to try
	Took    float64  `json:"took_seconds"` // all logins together
}

// sampleApplication is the name of the application that the logins go through.
const sampleApplication = "phasegate sample login (temporary)"

// longestLogin bounds a login and what goes before and after it. sampleMargin is
// for how long after it began the account counts as sampled when the run was
// killed: longer than that, so that nothing of the run can come later.
const (
	longestLogin = 10 * time.Minute
	sampleMargin = 15 * time.Minute
)

// mostCandidates is how many users of a role are looked at for one whose password
// nobody knows.
const mostCandidates = 50

// Validate checks the configuration offline.
func (t *SampleLogin) Validate() error {
	errs := []error{t.Access.validate(), t.Mapping.validate()}
	if u, err := url.Parse(t.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("url is not an http or https address"))
	}
	if t.Audience == "" {
		errs = append(errs, errors.New("audience is empty"))
	}
	if t.Claim == "" {
		errs = append(errs, errors.New("claim is empty"))
	}
	return together(errs...)
}

// Check compares the mapping with the live table and asks the tenant for a token.
func (t *SampleLogin) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, nil)
}

// Run logs in.
func (t *SampleLogin) Run(ctx context.Context, env *task.Env) (receipt LoggedIn, err error) {
	began := time.Now()
	receipt = LoggedIn{Roles: []string{}, LeftOut: []string{}}
	defer func() { receipt.Took = time.Since(began).Seconds() }()
	api, _, err := open(t.Access)
	if err != nil {
		return receipt, err
	}
	conn, _, err := standing(ctx, api, t.Connection, t.Roles)
	if err != nil {
		return receipt, err
	}
	if err := deleteApplications(ctx, api); err != nil {
		return receipt, err
	}
	candidates, moved, err := t.candidates(ctx, api, &receipt)
	switch {
	case err != nil:
		return receipt, err
	case moved == 0:
		return receipt, task.Hint(errors.New("no user of these roles has an Auth0 id"), "run auth0/import-users first")
	case len(candidates) == 0:
		return receipt, task.Skip("every user that was looked at may have a password")
	}
	return receipt, t.logIn(ctx, env, api, conn.id, candidates, &receipt)
}

// deleteApplications removes what a killed run has left.
func deleteApplications(ctx context.Context, api tenant) error {
	left, err := api.Applications(ctx, sampleApplication)
	for _, id := range left {
		err = errors.Join(err, api.DeleteApplication(ctx, id))
	}
	return err
}

// A candidate is a user who is to log in.
type candidate struct {
	account
	role string // the tenant's
}

// candidates picks a user for each role, and returns how many rows of these
// roles have an Auth0 id among those looked at.
func (t *SampleLogin) candidates(ctx context.Context, api tenant, receipt *LoggedIn) (picked []candidate, moved int, err error) {
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return nil, 0, err
	}
	defer table.close()
	if err := t.Users.check(ctx, table.conn, nil, reading); err != nil {
		return nil, 0, err
	}
	for _, local := range slices.Sorted(maps.Keys(t.Roles)) {
		rows, err := table.linked(ctx, local, mostCandidates)
		if err != nil {
			return nil, 0, err
		}
		moved += len(rows)
		a, ok, err := t.usable(ctx, api, rows)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			picked = append(picked, candidate{a, t.Roles[local]})
		} else {
			receipt.LeftOut = append(receipt.LeftOut, t.Roles[local])
		}
	}
	return picked, moved, nil
}

// usable returns the first of the rows' accounts that we made and that nobody has
// or is about to set a password for, unless they may be reused: whoever has a
// password of their own keeps it.
func (t *SampleLogin) usable(ctx context.Context, api tenant, rows []row) (account, bool, error) {
	for _, r := range rows {
		a, err := api.User(ctx, r.auth0ID)
		if status(err) == http.StatusNotFound {
			continue // for auth0/verify-users to report
		}
		if err != nil {
			return account{}, false, err
		}
		if a.ours() && (t.Reuse || a.mustReset() && a.text(markMail) == "") && !a.blocked {
			return a, true, nil
		}
	}
	return account{}, false, nil
}

// logIn makes the application, logs every candidate in, and cleans up whatever
// happens.
func (t *SampleLogin) logIn(ctx context.Context, env *task.Env, api tenant, connectionID string, candidates []candidate, receipt *LoggedIn) (err error) {
	cleanup, cancel := graceful(ctx)
	defer cancel()
	// Also when the request that makes it fails: it may have had its effect.
	defer func() { err = together(err, deleteApplications(cleanup, api)) }()
	app, err := api.CreateApplication(ctx, sampleApplication, connectionID)
	if err != nil {
		return err
	}
	realm, err := openRealm(ctx, t, app)
	if err != nil {
		return err
	}
	var errs []error
	for i, c := range candidates {
		if err := t.one(ctx, api, realm, c); err != nil {
			errs = append(errs, fmt.Errorf("log in as %s, role %s: %w", c.id, c.role, err))
			continue
		}
		receipt.Logins++
		receipt.Roles = append(receipt.Roles, c.role)
		env.Progress(int64(i+1), int64(len(candidates)), "logins")
	}
	return together(errs...)
}

// one logs a user in. The account is marked before, and gets a new password after
// it in any case.
func (t *SampleLogin) one(ctx context.Context, api tenant, realm *realm, c candidate) (err error) {
	ctx, stop := context.WithTimeout(ctx, longestLogin)
	defer stop()
	if err := markSampled(ctx, api, c.id, realm.now().Add(sampleMargin)); err != nil {
		return err
	}
	cleanup, cancel := graceful(ctx)
	defer cancel()
	password := temporaryPassword()
	defer func() { err = together(err, lock(cleanup, api, c.id)) }()
	if err := api.SetPassword(ctx, c.id, password); err != nil {
		return err
	}
	token, err := realm.logIn(ctx, c.email, password)
	if err != nil {
		return err
	}
	claims, err := realm.verify(token, c.id)
	if err != nil {
		return err
	}
	if !hasRole(claims[t.Claim], c.role) {
		return task.Hint(fmt.Errorf("the token's claim %s does not name the role", t.Claim),
			"check the post-login Action that writes the claim: it must be deployed and bound, and the account must have the role")
	}
	return realm.callAPI(ctx, t.URL, token)
}

// markSampled marks an account: whatever happened to it until then was a sample
// login.
func markSampled(ctx context.Context, api tenant, id string, until time.Time) error {
	return api.SetMetadata(ctx, id, map[string]any{markSample: until.UTC().Format(sampleTime)})
}

// lock gives an account a password that nobody knows, and marks it with the time
// of that, so that whatever its user does later counts.
func lock(ctx context.Context, api tenant, id string) error {
	if err := api.SetPassword(ctx, id, temporaryPassword()); err != nil {
		return err
	}
	a, err := api.User(ctx, id)
	if err != nil {
		return err
	}
	return markSampled(ctx, api, id, a.lastUse)
}

// hasRole tells whether the value of a claim, a string or a list of them, names
// the role.
func hasRole(claim any, role string) bool {
	switch v := claim.(type) {
	case string:
		return slices.Contains(strings.Fields(v), role)
	case []any:
		return slices.Contains(v, any(role))
	}
	return false
}
