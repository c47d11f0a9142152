package auth0

import (
	"net/http"
	"slices"
	"strings"
)

// A reason is why a user was not moved, as reports and receipts name it.
type reason string

// The reasons that last until somebody mends the row, the account or the tenant.
const (
	noAddress       reason = "no-email"
	invalidAddress  reason = "invalid-email"
	twinAddress     reason = "duplicate-email"
	foreignAccount  reason = "conflict"
	otherAddress    reason = "email-differs"
	weakPassword    reason = "password-policy"
	unmappedRole    reason = "role-not-mapped"
	badID           reason = "id-not-usable"
	badHash         reason = "password-hash"
	rowChanged      reason = "row-changed"
	passwordChanged reason = "password-changed"
	refused         reason = "refused"
)

// The reasons that may be gone the next time.
const (
	unreachable     reason = "unreachable"
	jobFailed       reason = "job-failed"
	jobUnderWay     reason = "job-under-way"
	notLinked       reason = "not-linked"
	roleNotAssigned reason = "role-not-assigned"
	notReached      reason = "not-reached" // the run ended before
)

// advice says what to do about it.
func (r reason) advice() string {
	switch r {
	case noAddress:
		return "give the row an e-mail address, then run again"
	case invalidAddress:
		return "correct the row's e-mail address, then run again"
	case twinAddress:
		return "another row has this address but for capitals: keep one of them or give one another address, then run again"
	case foreignAccount:
		return "an account that was not made for this row has its address or its user_id: delete or rename that account, or write its user_id into the row if it is the same person, then run again"
	case otherAddress:
		return "the account that was made for this row has another address than the row: correct one of them, then run again"
	case weakPassword:
		return "the connection refuses random passwords of 36 characters: relax its password policy, then run again"
	case unmappedRole:
		return "add the row's role to roles, or correct the row, then run again"
	case badID:
		return "an Auth0 user_id has no spaces and at most 255 characters: leave the row out, or name another id column"
	case badHash:
		return "the tenant does not take the row's password hash: correct it, or leave users.password_hash out for this row, then run again"
	case jobFailed:
		return "the import jobs with this user came to nothing: look in the tenant's log, then run again"
	case rowChanged:
		return "the row was deleted, left out by users.where or linked to another account meanwhile: delete the account of this user_id if nobody needs it"
	case passwordChanged:
		return "the row's password hash changed while the user moved, and no account can be given another one: tell the user to set a new password, or that the former one counts"
	case refused:
		return "look up the status and the errorCode in the documentation of POST /api/v2/users"
	case jobUnderWay:
		return "run again: the import job with this user is gone on with"
	case roleNotAssigned, notLinked:
		return "run again: the account is there and will be adopted"
	}
	return "run again"
}

func (r reason) transient() bool {
	return slices.Contains([]reason{unreachable, jobFailed, jobUnderWay, notLinked, roleNotAssigned, notReached}, r)
}

// whyRefused tells why the tenant refused to make an account, and whether it
// would refuse every other one too.
func whyRefused(r *refusal) (why reason, all bool) {
	switch {
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden, r.code == "custom_domain_conflict":
		return refused, true
	case r.status == http.StatusConflict:
		return foreignAccount, false
	case strings.HasPrefix(r.message, "Password"): // PasswordStrengthError, PasswordDictionaryError and their like
		return weakPassword, false
	case strings.Contains(r.message, "format email"), strings.Contains(r.message, "on property email"):
		return invalidAddress, false
	case strings.Contains(r.message, "new email already exists"): // PATCH says it with 400
		return foreignAccount, false
	case strings.HasPrefix(r.message, "Connection "), strings.Contains(r.message, "connection does not exist"):
		return refused, true
	}
	return refused, false
}
