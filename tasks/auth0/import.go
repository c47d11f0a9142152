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

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// ImportUsers makes an Auth0 account for every user in a table who has none, and
// writes its user_id back into the row.
//
// The accounts get the tenant's role for the row's role, the row's id and role in
// app_metadata beside what users.app_metadata names, and a random password that is
// kept nowhere, unless their password hash moves. No mail is sent for them by the request itself; the templates
// that Auth0 sends by itself must be off, which auth0/ready checks.
//
// The user_id follows from the row's id. Run after an interruption, or after a
// rollback of the database, the task adopts the accounts that are there already.
// An account that somebody else made is never touched: its row is reported.
//
// Rows that are added, changed or deleted while the task runs are looked for until
// nothing new is found, and those changed ten times at most: an account whose row
// has another address, role, name, confirmation or metadata than when it was read is
// mended, and one whose row is gone is reported. That holds too for what a call of
// this step left when it was interrupted; what it needs for that is in linked.ledger
// in the run's directory (mode 0600), ids and salted hashes, which is deleted once
// all is done. A password that is changed meanwhile is reported: the account has the
// former one, and takes no other hash. What changes after the end, auth0/verify-users finds. An
// account that is adopted gets the role and the metadata that its row asks for now.
//
// Users who cannot be moved are in report.ndjson in the run's directory (mode
// 0600) as it happens, and in report.csv once the step ends: the row's id, the
// reason and what to do. Of a run that is ended early, those that it did not come to,
// and who have no account, are counted as not-reached and not named. Rows whose address differs
// from another row's only in capitals are not moved, since nobody but a person
// can say which of them is whose. Users whom only trouble with the tenant kept
// back fail the step, so that running it again takes them up; users who need a
// person fail it only below min_success.
//
// The application needs the scopes create:users, read:users, update:users,
// read:connections, read:roles, create:role_members and delete:role_members.
type ImportUsers struct {
	Access
	Mapping

	// How the accounts are made. create: one request for each user, who gets a
	// random password. import: users-imports jobs of up to 500 KB, two at a time;
	// the only way to move password hashes, and on most plans the faster one for
	// many users. auto: import where users.password_hash is named or creating would
	// take long, else create; the receipt says why.
	Method Method `with:"method"`

	// What accounts are marked with as made by this run, such as "${{ run.id }}".
	// auth0/remove-users finds them by it.
	RunID string `with:"run"`

	// How many requests may be under way at once, up to 64. It matters where the
	// network's delay is what takes the time, and not the rate limit.
	Workers int `with:"workers"`

	// How many users are made before their ids are written back and committed, up
	// to 5000.
	Batch int `with:"batch"`

	// How long the tenant may answer nothing good before it is given up on. What is
	// left is for the next run.
	Patience time.Duration `with:"patience"`

	// How long an import job may take before it counts as hung. Auth0 ends them
	// after two hours.
	JobTimeout time.Duration `with:"job_timeout"`

	// The share of the users to be moved that must have been moved, or else the
	// step fails. At 0% that is left to a gate.
	MinSuccess task.Percent `with:"min_success"`

	slots int // import jobs side by side, 0 for as many as a tenant allows
}

// Imported is what became of the users.
type Imported struct {
	Method         string           `json:"method"`              // create or import
	Why            string           `json:"why"`                 // why that method
	Users          int64            `json:"users"`               // in the table, at the end
	Already        int64            `json:"already"`             // that had an account before this call
	Created        int64            `json:"created"`             // accounts made by this call
	Adopted        int64            `json:"adopted"`             // accounts of ours found there and linked
	Mended         int64            `json:"mended"`              // accounts that were changed since their rows had been
	Failed         int64            `json:"failed"`              // users not moved: transient and permanent ones
	Transient      int64            `json:"transient"`           // that running again may move
	Permanent      int64            `json:"permanent"`           // that a person must see to
	ByReason       map[string]int64 `json:"by_reason"`           // how many failed for each reason
	SuccessRate    float64          `json:"success_rate"`        // moved of those to be moved, 0 to 1; 1 if there were none
	RolesAssigned  int64            `json:"roles_assigned"`      // users who were given their role
	MustReset      int64            `json:"must_reset"`          // moved users who cannot log in before they set a password
	Hashes         int64            `json:"hashes"`              // moved users who keep their password
	Jobs           []Job            `json:"jobs"`                // import jobs that are not dealt with; running again goes on with them
	JobsDone       int64            `json:"jobs_done"`           // import jobs that are
	Sweeps         int64            `json:"sweeps"`              // passes over the table until one found nothing new
	Requests       int64            `json:"requests"`            // to the Management API
	Throttled      int64            `json:"throttled"`           // of these, refused as too fast and sent again
	RateLimit      int64            `json:"rate_limit"`          // the smallest limit that the tenant reported, in requests
	Report         string           `json:"report"`              // path of report.ndjson
	ReportSHA256   string           `json:"report_sha256"`       // of that file, "" until its last line is written
	Table          string           `json:"table"`               // path of report.csv, those that failed in the end
	Took           float64          `json:"took_seconds"`        // from the first look to the last write-back
	RequestsPerSec float64          `json:"requests_per_second"` // over the whole time
}

// Validate checks the configuration offline.
func (t *ImportUsers) Validate() error {
	errs := []error{t.Access.validate(), t.Mapping.validate()}
	if t.Workers < 1 || t.Workers > mostWorkers {
		errs = append(errs, fmt.Errorf("workers is %d, not 1 to %d", t.Workers, mostWorkers))
	}
	if t.Batch < 1 || t.Batch > 5000 {
		errs = append(errs, fmt.Errorf("batch is %d, not 1 to 5000", t.Batch))
	}
	if t.Method == Create && t.Users.PasswordHash != "" {
		errs = append(errs, task.Hint(errors.New("method create moves no password hashes, and users.password_hash is set"),
			"write method: import or auto, or leave users.password_hash out: then every user has to set a password"))
	}
	if !slices.Contains(t.Method.Words(), string(t.Method)) {
		errs = append(errs, fmt.Errorf("method %q is none of %s", t.Method, strings.Join(t.Method.Words(), ", ")))
	}
	if t.JobTimeout <= 0 {
		errs = append(errs, errors.New("job_timeout is not a time above 0"))
	}
	if t.Patience <= 0 {
		errs = append(errs, errors.New("patience is not a time above 0"))
	}
	return together(errs...)
}

// Check compares the mapping with the live table and asks the tenant for a
// token. What earlier steps may still make is only noted: the column of the
// Auth0 id, the connection, the roles.
func (t *ImportUsers) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, t.Roles)
}

// checkBoth is the Check of the tasks that have the table on one side and the
// tenant on the other. Without roles, the table's roles need not be mapped.
func checkBoth(ctx context.Context, env *task.Env, a Access, m Mapping, roles map[string]string) error {
	conn, err := pg.Connect(ctx, m.DSN)
	if err == nil {
		err = m.Users.check(ctx, conn, roles, early)
		conn.Close(ctx)
	}
	api, _, tenantErr := open(a)
	if tenantErr == nil {
		_, tenantErr = api.Scopes(ctx)
	}
	if tenantErr == nil {
		if _, _, notYet := standing(ctx, api, m.Connection, roles); notYet != nil {
			env.Log.Warn("the tenant is not ready for this step yet", "error", notYet)
		}
	}
	return together(err, tenantErr)
}

// standing returns the connection, and the tenant's role ids by the table's
// roles, or everything about them that stands in the way.
func standing(ctx context.Context, api tenant, name string, roles map[string]string) (connection, map[string]string, error) {
	if _, err := api.Scopes(ctx); err != nil {
		return connection{}, nil, err // nothing else could be asked
	}
	var errs []error
	conn, err := api.Connection(ctx, name)
	switch {
	case err != nil:
		errs = append(errs, err)
	case conn.strategy != "auth0":
		errs = append(errs, task.Hint(fmt.Errorf("connection %s has strategy %s", name, conn.strategy),
			"name a database connection: only there accounts can be made"))
	case conn.applications == 0:
		errs = append(errs, task.Hint(fmt.Errorf("connection %s is enabled for no application", name),
			"enable it for the application that users log in to: until then Auth0 counts it as disabled"))
	}
	if len(roles) == 0 {
		return conn, nil, together(errs...)
	}
	ids, err := roleIDs(ctx, api, roles)
	return conn, ids, together(append(errs, err)...)
}

// roleIDs returns the tenant's role ids by the table's roles.
func roleIDs(ctx context.Context, api tenant, roles map[string]string) (map[string]string, error) {
	all, err := api.Roles(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	var missing []string
	for local, name := range roles {
		id, ok := all[name]
		if !ok {
			missing = append(missing, name)
		}
		ids[local] = id
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return ids, task.Hint(fmt.Errorf("the tenant has no role %s", strings.Join(slices.Compact(missing), ", ")),
			"make the roles in the tenant, or correct their names: they are case-sensitive")
	}
	return ids, nil
}

// Run moves the users.
func (t *ImportUsers) Run(ctx context.Context, env *task.Env) (Imported, error) {
	began := time.Now()
	lock, err := pg.Acquire(ctx, t.DSN)
	if err != nil {
		return Imported{}, err
	}
	defer lock.Release()
	m, err := t.begin(ctx, env)
	if err != nil {
		return Imported{}, err
	}
	defer m.table.close()
	runErr := m.sweepAll(ctx)
	if runErr != nil {
		runErr = together(runErr, m.leaveBegun())
	}
	receipt, err := m.receipt(ctx, began, runErr != nil)
	if err == nil {
		err = env.Save(receipt)
	}
	settled := runErr == nil && receipt.Transient == 0 && !m.unmended
	err = errors.Join(err, m.ledger.close(settled), m.report.table(csvPath(m.report.file.Name()), m.failed))
	sum, endErr := m.report.end(receipt)
	receipt.ReportSHA256 = sum
	if err := errors.Join(err, endErr); err != nil || runErr != nil {
		return receipt, together(runErr, err)
	}
	return receipt, t.verdict(receipt)
}

// begin opens both sides and finds out how much there is to do.
func (t *ImportUsers) begin(ctx context.Context, env *task.Env) (*mover, error) {
	api, pace, err := open(t.Access)
	if err != nil {
		return nil, err
	}
	conn, roles, err := standing(ctx, api, t.Connection, t.Roles)
	if err != nil {
		return nil, err
	}
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return nil, err
	}
	m := &mover{
		task: t, env: env, tenant: api, pace: pace, table: table, roles: roles,
		failed: map[string]reason{}, begun: map[string]trace{}, digests: map[string]int64{},
	}
	m.jobs = &jobs{mover: m, connectionID: conn.id, run: t.RunID, slots: mostAtATime, tried: map[string]int{}}
	if t.slots > 0 {
		m.jobs.slots = t.slots
	}
	if err = t.Users.check(ctx, table.conn, t.Roles, writing); err == nil {
		m.users, m.already, err = table.count(ctx)
	}
	if err == nil {
		m.decide()
		m.ledger, err = openLedger(env.Dir)
	}
	if err == nil {
		table.salt = m.ledger.salt
		m.report, err = openReport(filepath.Join(env.Dir, "report.ndjson"))
	}
	if err != nil {
		table.close()
		return nil, err
	}
	m.good.Store(time.Now().UnixNano())
	return m, nil
}

// verdict turns the counts of a run that went through into its error.
func (t *ImportUsers) verdict(r Imported) error {
	switch {
	case r.Transient > 0:
		return task.Hint(fmt.Errorf("%d of %d users were left for another time: %s",
			r.Transient, r.Users-r.Already, reasons(r.ByReason)), "run again: only those left are taken up")
	case r.SuccessRate < float64(t.MinSuccess):
		return task.Hint(fmt.Errorf("%d of %d users could not be moved: %s",
			r.Permanent, r.Users-r.Already, reasons(r.ByReason)),
			"do what "+r.Report+" says for each row, then run again: only those left are taken up")
	case r.Created+r.Adopted+r.Mended+r.Failed == 0:
		return task.Skip(fmt.Sprintf("all %d users have an account", r.Users))
	}
	return nil
}

// reasons writes the counts as "conflict 2, invalid-email 1".
func reasons(counts map[string]int64) string {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", why, counts[why]))
	}
	return strings.Join(parts, ", ")
}
