package auth0

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Mapping says where the users are on both sides: the keys that the tasks about
// users have.
type Mapping struct {
	// The database with the users.
	DSN redact.Secret `with:"dsn,required"`

	// The name of the database connection in the tenant that the accounts belong
	// to.
	Connection string `with:"connection,required"`

	// Where the users are in the database.
	Users Users `with:"users,required"`

	// The tenant's role for each value of the role column.
	Roles map[string]string `with:"roles,required"`
}

func (m Mapping) validate() error { return together(m.Users.validate(), validateRoles(m.Roles)) }

// Users says where in the database the users are.
type Users struct {
	// The table, with its schema in front if that is not on the search path.
	Table string `with:"table,required"`

	// The column of the row's own id: unique, and never changed. Of any type that
	// has an order.
	ID string `with:"id,required"`

	// The column of the e-mail address.
	Email string `with:"email,required"`

	// The column of text that takes the Auth0 user_id. It needs a unique
	// constraint or index. Rows in which it is null are those to be moved.
	Auth0ID string `with:"auth0_id,required"`

	// The column of the role.
	Role string `with:"role,required"`

	// The column of the person's name. Without one, Auth0 shows the address.
	Name string `with:"name"`

	// The column, true or false, that says whether the e-mail address is confirmed.
	// Without one, all count as confirmed.
	Verified string `with:"verified"`

	// The columns that go into app_metadata, by their keys there. Nulls are left
	// out.
	AppMetadata map[string]string `with:"app_metadata"`

	// The columns that go into user_metadata, which users may change, by their
	// keys there. Nulls are left out.
	UserMetadata map[string]string `with:"user_metadata"`

	// The column of the password's hash, if it is to be moved, so that users keep
	// their passwords: bcrypt, argon2, pbkdf2 in the PHC form, LDAP's such as
	// {SSHA}, or a JSON object as Auth0 documents custom_password_hash. Only the
	// method import can move hashes.
	PasswordHash string `with:"password_hash"`

	// A condition in SQL that rows must meet, such as "is_active". Without one,
	// the whole table counts.
	Where string `with:"where"`

	// What is put before the row's id to make the user_id of its account, such as
	// "crm-". Never change it between two runs: every user would be made again.
	IDPrefix string `with:"id_prefix,required"`
}

// column is a key of the mapping and the column that it names.
type column struct{ key, name string }

func (u Users) columns() []column {
	columns := []column{{"id", u.ID}, {"email", u.Email}, {"auth0_id", u.Auth0ID}, {"role", u.Role}}
	for _, c := range []column{{"name", u.Name}, {"verified", u.Verified}, {"password_hash", u.PasswordHash}} {
		if c.name != "" {
			columns = append(columns, c)
		}
	}
	for what, metadata := range map[string]map[string]string{"app_metadata": u.AppMetadata, "user_metadata": u.UserMetadata} {
		for _, key := range slices.Sorted(maps.Keys(metadata)) {
			columns = append(columns, column{what + "." + key, metadata[key]})
		}
	}
	return columns
}

// reserved are the keys that Auth0 forbids in app_metadata
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-import-schema).
func reserved() []string {
	return strings.Fields(`__tenant _id blocked clientID created_at email_verified email globalClientID
		global_client_id identities lastIP lastLogin loginsCount metadata multifactor_last_modified multifactor
		updated_at user_id`)
}

// validateMetadata checks the keys that columns are to have in the metadata.
func (u Users) validateMetadata() []error {
	var errs []error
	for key := range u.AppMetadata {
		if slices.Contains(reserved(), key) {
			errs = append(errs, fmt.Errorf("users.app_metadata: Auth0 forbids the key %s", key))
		}
		if slices.Contains(marks(), key) {
			errs = append(errs, fmt.Errorf("users.app_metadata: the key %s is one that accounts are marked with", key))
		}
	}
	for _, metadata := range []map[string]string{u.AppMetadata, u.UserMetadata} {
		for key := range metadata {
			if key == "" || strings.ContainsAny(key, ".$") {
				errs = append(errs, fmt.Errorf("users: Auth0 allows no key %q in metadata: a dot or a dollar sign", key))
			}
		}
	}
	return errs
}

var idPrefix = pattern.Lazy(`^[A-Za-z0-9._-]{1,64}$`)

func (u Users) validate() error {
	var errs []error
	if u.Table == "" {
		errs = append(errs, errors.New("users.table is empty"))
	}
	for _, c := range u.columns() {
		if c.name == "" {
			errs = append(errs, fmt.Errorf("users.%s is empty", c.key))
		}
	}
	if !idPrefix().MatchString(u.IDPrefix) {
		errs = append(errs, task.Hint(fmt.Errorf("users.id_prefix %q cannot begin a user_id", u.IDPrefix),
			"write 1 to 64 letters, digits, dots, dashes or underscores"))
	}
	return together(append(errs, u.validateMetadata()...)...)
}

// validateRoles checks a map from the table's roles to the tenant's.
func validateRoles(roles map[string]string) error {
	if len(roles) == 0 {
		return task.Hint(errors.New("roles is empty"),
			"write for each value of the role column the name of the role in the tenant, such as { admin: Administrator }")
	}
	for local, name := range roles {
		if name == "" {
			return fmt.Errorf("roles.%s is empty", local)
		}
	}
	return nil
}

// userID returns the user_id of a row's account as the tenant shows it.
func (u Users) userID(rowID string) string { return prefix + u.IDPrefix + rowID }

// madeHere tells whether a user_id has the form of those that we give.
func (u Users) madeHere(userID string) bool { return strings.HasPrefix(userID, prefix+u.IDPrefix) }

// sanitized returns the table's name, quoted.
func (u Users) sanitized() string { return pgx.Identifier(strings.Split(u.Table, ".")).Sanitize() }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// condition returns the mapping's where clause, in parentheses.
func (u Users) condition() string {
	if u.Where == "" {
		return "true"
	}
	// On lines of its own, so that a comment at the end does no harm.
	return "(\n" + u.Where + "\n)"
}

// A column that the table really has.
type found struct {
	kind    string // as format_type writes it
	notNull bool
	unique  bool // by itself, without a condition
}

// inspect reads the table's columns by their names.
func (u Users) inspect(ctx context.Context, conn *pgx.Conn) (map[string]found, error) {
	rows, err := conn.Query(ctx, `
		select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, exists (
			select from pg_index i
			 where i.indrelid = a.attrelid and i.indisunique and i.indisvalid
			   and i.indpred is null and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
		  from pg_attribute a
		 where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped`, u.sanitized())
	if err != nil {
		return nil, fmt.Errorf("read the columns of table %s: %w", u.Table, err)
	}
	columns := map[string]found{}
	var name string
	var c found
	_, err = pgx.ForEachRow(rows, []any{&name, &c.kind, &c.notNull, &c.unique}, func() error {
		columns[name] = c
		return nil
	})
	if err == nil && len(columns) == 0 {
		err = task.Hint(errors.New("there is no such table"), "check users.table, and the database in dsn")
	}
	if err != nil {
		return nil, fmt.Errorf("read the columns of table %s: %w", u.Table, err)
	}
	return columns, nil
}

// strictness is how much of the mapping has to be there.
type strictness int

const (
	early   strictness = iota // a step before this one may still add the Auth0 id's column
	reading                   // the column has to be there
	writing                   // and it has to be unique
)

// check compares the mapping with the live table.
func (u Users) check(ctx context.Context, conn *pgx.Conn, roles map[string]string, strict strictness) error {
	columns, err := u.inspect(ctx, conn)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range u.columns() {
		_, ok := columns[c.name]
		if !ok && (c.key != "auth0_id" || strict > early) {
			errs = append(errs, task.Hint(fmt.Errorf("table %s has no column %s", u.Table, c.name), "check users."+c.key))
		}
	}
	errs = append(errs, u.checkKeys(columns)...)
	if link, ok := columns[u.Auth0ID]; ok && !link.unique && strict != reading {
		errs = append(errs, task.Hint(fmt.Errorf("column %s of table %s is not unique", u.Auth0ID, u.Table),
			"add a unique constraint: it is what keeps two rows off one account"))
	}
	if len(errs) == 0 {
		errs = append(errs, u.checkRoles(ctx, conn, roles))
	}
	return together(errs...)
}

func (u Users) checkKeys(columns map[string]found) []error {
	var errs []error
	if id, ok := columns[u.ID]; ok && !(id.unique && id.notNull) {
		errs = append(errs, task.Hint(fmt.Errorf("column %s of table %s does not identify a row", u.ID, u.Table),
			"name the primary key in users.id, or another column that is unique and not null"))
	}
	link, ok := columns[u.Auth0ID]
	if !ok {
		return errs
	}
	if !strings.HasPrefix(link.kind, "text") && !strings.HasPrefix(link.kind, "character varying") {
		errs = append(errs, fmt.Errorf("column %s of table %s is of type %s, not text", u.Auth0ID, u.Table, link.kind))
	}
	if link.notNull {
		errs = append(errs, fmt.Errorf("column %s of table %s does not allow null, by which users to be moved are told", u.Auth0ID, u.Table))
	}
	return errs
}

// checkRoles finds the table's roles that the map leaves out, if there is a map,
// and with it every mistake in the where clause.
func (u Users) checkRoles(ctx context.Context, conn *pgx.Conn, roles map[string]string) error {
	rows, err := conn.Query(ctx, fmt.Sprintf(`select distinct coalesce(%s::text, '') from %s where %s order by 1`,
		quote(u.Role), u.sanitized(), u.condition()))
	if err != nil {
		return fmt.Errorf("read the roles of table %s: %w", u.Table, err)
	}
	local, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return task.Hint(fmt.Errorf("read the roles of table %s: %w", u.Table, err), "check users.where")
	}
	var missing []string
	for _, role := range local {
		if _, ok := roles[role]; !ok && roles != nil {
			missing = append(missing, fmt.Sprintf("%q", role))
		}
	}
	if len(missing) > 0 {
		return task.Hint(fmt.Errorf("table %s has roles that are not mapped: %s", u.Table, strings.Join(missing, ", ")),
			"add them to roles, or leave their rows out in users.where")
	}
	return nil
}
