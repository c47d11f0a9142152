package auth0

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// VerifyUsers compares the users in a table with the accounts in an Auth0
// tenant, in both directions and one by one, for any number of users. It reads
// the accounts from an export of the whole connection, and who has which role
// from the roles themselves.
//
// It fails when a user has no account, when an account that was made for a row
// has none, when two rows have the same account or nothing in the
// table forbids it, when an account's address, its role or its metadata
// is another than the row's, and when an account is blocked. Accounts that were not made for a row are counted and
// otherwise left alone.
//
// Every difference is a line in verify-users.ndjson in the run's directory (mode
// 0600): ids and the kind of difference. Users that are added or changed while
// the task runs may show up in it; run it again to be sure.
//
// The application needs the scopes read:users, read:connections, read:roles and
// read:role_members.
type VerifyUsers struct {
	Access
	Mapping
	Listing

	// How many users may be without an account, such as those that an import has
	// reported as permanent failures.
	AllowUnlinked int64 `with:"allow_unlinked"`
}

// Verified is what the comparison found.
type Verified struct {
	Users         int64   `json:"users"`          // in the table
	Linked        int64   `json:"linked"`         // rows with an Auth0 id
	Accounts      int64   `json:"accounts"`       // in the connection
	Unrelated     int64   `json:"unrelated"`      // accounts that were not made for a row
	Unlinked      int64   `json:"unlinked"`       // rows without an Auth0 id
	Missing       int64   `json:"missing"`        // rows whose account does not exist
	Extra         int64   `json:"extra"`          // accounts made for a row that is not there, or not linked
	Duplicates    int64   `json:"duplicates"`     // rows with an Auth0 id that another row has
	WrongEmail    int64   `json:"wrong_email"`    // accounts with another address than the row
	WrongRole     int64   `json:"wrong_role"`     // accounts whose app_metadata names another role than the row
	WrongMetadata int64   `json:"wrong_metadata"` // accounts whose metadata is not what the row asks for
	WrongRoles    int64   `json:"wrong_roles"`    // accounts without the row's role, or with another of the mapped ones
	Blocked       int64   `json:"blocked"`        // accounts that cannot log in
	Differences   int64   `json:"differences"`    // all of these
	Unique        bool    `json:"unique"`         // the table allows an Auth0 id only once
	Report        string  `json:"report"`         // path of verify-users.ndjson
	Took          float64 `json:"took_seconds"`   // from the first look to the last difference

	ReportSHA256 string `json:"report_sha256"` // of the report, "" until its last line is written
}

// Validate checks the configuration offline.
func (t *VerifyUsers) Validate() error {
	errs := []error{t.Access.validate(), t.Mapping.validate(), t.Listing.validate()}
	if t.AllowUnlinked < 0 {
		errs = append(errs, errors.New("allow_unlinked is below 0"))
	}
	if n := len(slices.Compact(slices.Sorted(maps.Values(t.Roles)))); n > mostRoles {
		errs = append(errs, fmt.Errorf("roles names %d roles of the tenant, more than %d", n, mostRoles))
	}
	return together(errs...)
}

// Check compares the mapping with the live table and asks the tenant for a token.
func (t *VerifyUsers) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, t.Roles)
}

// Run compares. The receipt is whole also where it returns an error for
// differences.
func (t *VerifyUsers) Run(ctx context.Context, env *task.Env) (Verified, error) {
	began := time.Now()
	api, _, err := open(t.Access)
	if err != nil {
		return Verified{}, err
	}
	conn, roles, err := standing(ctx, api, t.Connection, t.Roles)
	if err != nil {
		return Verified{}, err
	}
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return Verified{}, err
	}
	defer table.close()
	if err := t.Users.check(ctx, table.conn, t.Roles, reading); err != nil {
		return Verified{}, err
	}
	path := filepath.Join(env.Dir, "verify-users.ndjson")
	report, err := openReport(path)
	if err != nil {
		return Verified{}, err
	}
	c := newComparison(t, env, report)
	c.found.Unique = table.unique
	runErr := c.compare(ctx, api, table, conn.id, roles)
	c.found.Report, c.found.Took = path, time.Since(began).Seconds()
	sum, endErr := report.end(c.found)
	c.found.ReportSHA256 = sum
	if err := together(runErr, endErr); err != nil {
		return c.found, err
	}
	return c.found, t.verdict(c.found)
}

// verdict turns differences into an error.
func (t *VerifyUsers) verdict(v Verified) error {
	var parts []string
	add := func(n int64, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	if v.Unlinked > t.AllowUnlinked {
		add(v.Unlinked, "users without an Auth0 id")
	}
	add(v.Missing, "users whose account is missing")
	add(v.Extra, "accounts without a user")
	add(v.Duplicates, "users with another's Auth0 id")
	add(v.WrongEmail, "accounts with another address")
	add(v.WrongRole, "accounts with another role in app_metadata")
	add(v.WrongMetadata, "accounts with other metadata")
	add(v.WrongRoles, "accounts with other roles assigned")
	add(v.Blocked, "blocked accounts")
	if !v.Unique {
		parts = append(parts, "no unique constraint on the Auth0 id")
	}
	if len(parts) == 0 {
		return nil
	}
	return task.Hint(fmt.Errorf("the table and the tenant differ: %s", strings.Join(parts, ", ")),
		"see "+v.Report+" for the ids; what is not linked, a run of auth0/import-users takes up")
}
