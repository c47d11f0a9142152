package auth0

import (
	"context"
	"hash/maphash"
	"strings"

	"github.com/medlogistics/phasegate/runner/task"
)

// mostRoles is how many of the tenant's roles an entry can hold a bit for.
const mostRoles = 64

// An entry is what is known of a row's account. A million of them take about
// 100 MB: the ids and addresses themselves are kept as hashes, with a seed of
// this process, so that two that fall together are as good as impossible and
// would not do so twice.
type entry struct {
	address uint64 // hash of the row's address in lower case
	data    uint64 // hash of the metadata that the row asks for
	role    string // the row's
	roles   uint64 // a bit for each of the tenant's roles that the account has
	found   bool   // the account exists
	rows    uint32 // that have this Auth0 id
}

// A comparison holds the table's side while the tenant's goes by.
type comparison struct {
	task   *VerifyUsers
	env    *task.Env
	report *report
	seed   maphash.Seed
	rows   map[uint64]*entry // by the hash of the Auth0 id
	bits   map[string]uint64 // by the tenant's role name
	found  Verified
}

func newComparison(t *VerifyUsers, env *task.Env, report *report) *comparison {
	c := &comparison{
		task: t, env: env, report: report, seed: maphash.MakeSeed(),
		rows: map[uint64]*entry{}, bits: map[string]uint64{},
	}
	for _, name := range t.Roles {
		if _, ok := c.bits[name]; !ok {
			c.bits[name] = 1 << len(c.bits)
		}
	}
	return c
}

// A difference is a line of the report.
type difference struct {
	Run  int    `json:"run"`
	Row  string `json:"row,omitempty"`
	User string `json:"user_id,omitempty"`
	Kind string `json:"kind"` // as the receipt names the count
}

func (c *comparison) differs(count *int64, kind, row, user string) error {
	*count++
	c.found.Differences++
	return c.report.add(difference{c.report.run, row, user, kind})
}

func (c *comparison) hash(s string) uint64 { return maphash.String(c.seed, s) }

// compare reads the table, the accounts and the roles, and then the table once
// more to name the rows.
func (c *comparison) compare(ctx context.Context, api tenant, table *table, connectionID string, roles map[string]string) error {
	if err := table.each(ctx, c.expect); err != nil {
		return err
	}
	if err := api.ExportUsers(ctx, connectionID, c.task.JobTimeout, c.meet); err != nil {
		return err
	}
	if err := c.meetRoles(ctx, api, roles); err != nil {
		return err
	}
	return table.each(ctx, c.settle)
}

// meetRoles takes in who has which of the mapped roles.
func (c *comparison) meetRoles(ctx context.Context, api tenant, ids map[string]string) error {
	for local, name := range c.task.Roles {
		err := api.RoleUsers(ctx, ids[local], func(user string) {
			if e := c.rows[c.hash(user)]; e != nil {
				e.roles |= c.bits[name]
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expect takes in a row.
func (c *comparison) expect(r row) error {
	c.found.Users++
	if r.auth0ID == "" {
		return c.differs(&c.found.Unlinked, "unlinked", r.id, "")
	}
	c.found.Linked++
	key := c.hash(r.auth0ID)
	e := c.rows[key]
	if e == nil {
		e = &entry{
			address: c.hash(strings.ToLower(r.email)), role: r.role,
			data: c.metadata(objectOf(r.appMeta), objectOf(r.userMeta)),
		}
		c.rows[key] = e
	}
	e.rows++
	return nil
}

// meet takes in an account.
func (c *comparison) meet(a account) error {
	c.found.Accounts++
	c.env.Progress(c.found.Accounts, 0, "accounts")
	e := c.rows[c.hash(a.id)]
	if e == nil {
		if c.task.Users.madeHere(a.id) && a.ours() {
			return c.differs(&c.found.Extra, "extra", "", a.id)
		}
		c.found.Unrelated++
		return nil
	}
	e.found = true
	if e.rows > 1 {
		return nil // whose it is, and so what it should be, is the question
	}
	if c.hash(strings.ToLower(a.email)) != e.address {
		if err := c.differs(&c.found.WrongEmail, "wrong_email", "", a.id); err != nil {
			return err
		}
	}
	if !c.carries(a, e) {
		if err := c.differs(&c.found.WrongMetadata, "wrong_metadata", "", a.id); err != nil {
			return err
		}
	}
	// An account that a person linked by hand may have no metadata of ours.
	if role := a.text(markRole); a.ours() && role != e.role {
		if err := c.differs(&c.found.WrongRole, "wrong_role", "", a.id); err != nil {
			return err
		}
	}
	if a.blocked {
		return c.differs(&c.found.Blocked, "blocked", "", a.id)
	}
	return nil
}

// metadata returns the hash of what the mapping puts into the metadata.
func (c *comparison) metadata(app, user map[string]any) uint64 {
	users := c.task.Users
	if len(users.AppMetadata)+len(users.UserMetadata) == 0 {
		return 0
	}
	return c.hash(pick(app, users.AppMetadata) + pick(user, users.UserMetadata))
}

// carries tells whether an account has the metadata that its row asks for, and
// names the row where it is ours.
func (c *comparison) carries(a account, e *entry) bool {
	if a.ours() && c.task.Users.madeHere(a.id) && a.id != c.task.Users.userID(a.text(markRow)) {
		return false
	}
	return c.metadata(a.metadata, a.userMetadata) == e.data
}

// settle names the rows that came off badly. Rows that were linked since the
// first pass are not known, and not judged.
func (c *comparison) settle(r row) error {
	e := c.rows[c.hash(r.auth0ID)]
	if r.auth0ID == "" || e == nil {
		return nil
	}
	if e.rows > 1 {
		return c.differs(&c.found.Duplicates, "duplicates", r.id, r.auth0ID)
	}
	if !e.found {
		return c.differs(&c.found.Missing, "missing", r.id, r.auth0ID)
	}
	if e.roles != c.bits[c.task.Roles[e.role]] {
		return c.differs(&c.found.WrongRoles, "wrong_roles", r.id, r.auth0ID)
	}
	return nil
}
