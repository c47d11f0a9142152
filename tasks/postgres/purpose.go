package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Purpose is what a database will be used for, and so which privileges are
// needed: "backup" to read every table and large object; "stage" and "swap" to
// own the database, to create and to rename one, and to end its sessions;
// "migrate" to own the tables and to create more.
type Purpose string

// The purposes.
const (
	ForBackup  Purpose = "backup"
	ForStage   Purpose = "stage"
	ForSwap    Purpose = "swap"
	ForMigrate Purpose = "migrate"
)

// UnmarshalText reads a purpose from a plan.
func (p *Purpose) UnmarshalText(text []byte) error {
	switch given := Purpose(text); given {
	case ForBackup, ForStage, ForSwap, ForMigrate:
		*p = given
		return nil
	}
	return fmt.Errorf("%q is no purpose: write backup, stage, swap or migrate", text)
}

// A lack is a privilege that is missing, and the statement that gives it.
type lack struct{ what, mend string }

// A need asks the server about one privilege. Its query answers with one row: a
// number, which is 0 if nothing is missing, and an example of what is concerned.
type need struct {
	query string // with {database} as a literal
	what  string // a sentence with {count}, {example} and {role}
	mend  string // statements with {role} and {database}, quoted
}

// ordinary is the condition for relations that belong to the application.
const ordinary = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
	and not exists (select from pg_depend d
	                 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')`

var backupNeeds = []need{
	{
		query: `select count(*), coalesce(min(format('%I.%I', n.nspname, c.relname)), '')
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'p', 'S') and ` + ordinary + `
			  and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))`,
		what: "{role} may not read {count} tables and sequences, among them {example}",
		mend: "GRANT pg_read_all_data TO {role}",
	},
	{
		query: `select count(*), coalesce(min(format('%I.%I', n.nspname, c.relname)), '')
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'p') and ` + ordinary + ` and row_security_active(c.oid)`,
		what: "row level security hides rows of {count} tables from {role}, among them {example}",
		mend: "ALTER ROLE {role} BYPASSRLS",
	},
	{
		query: `select count(*), coalesce(min(m.oid)::text, '')
			from pg_largeobject_metadata m join pg_roles me on me.rolname = current_user
			where not me.rolsuper and not pg_has_role(m.lomowner, 'usage')
			  and not exists (select from aclexplode(m.lomacl) a
			                   where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_has_role(a.grantee, 'usage')))`,
		what: "{role} may not read {count} large objects, among them {example}",
		mend: "GRANT SELECT ON LARGE OBJECT ... TO {role}, for each of them",
	},
}

var renameNeeds = []need{
	{
		query: `select count(*), coalesce(min(pg_get_userbyid(datdba)::text), '') from pg_database
			where datname = {database} and not pg_has_role(datdba, 'usage')`,
		what: "{role} does not own the database, {example} does",
		mend: "ALTER DATABASE {database} OWNER TO {role}",
	},
	{
		query: `select count(*), '' from pg_roles where rolname = current_user and not (rolcreatedb or rolsuper)`,
		what:  "{role} may not create or rename a database",
		mend:  "ALTER ROLE {role} CREATEDB",
	},
	{
		query: `select count(*), '' from pg_database
			where datname = '` + pg.Maintenance + `' and not has_database_privilege(oid, 'connect')`,
		what: "{role} may not connect to the database " + pg.Maintenance + ", from which others are renamed",
		mend: "GRANT CONNECT ON DATABASE " + pg.Maintenance + " TO {role}",
	},
}

var swapNeeds = []need{{
	query: `select count(*), coalesce(min(a.usename::text), '')
		from pg_stat_activity a join pg_roles me on me.rolname = current_user
		where a.datname = {database} and a.usesysid is not null and not me.rolsuper
		  and not pg_has_role(a.usesysid, 'usage') and not pg_has_role('pg_signal_backend', 'usage')`,
	what: "{role} may not end {count} sessions of other roles, among them {example}",
	mend: "GRANT pg_signal_backend TO {role}",
}}

var migrateNeeds = []need{
	{
		query: `select count(*), coalesce(min(format('%I.%I', n.nspname, c.relname)), '')
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where c.relkind in ('r', 'p') and ` + ordinary + ` and not pg_has_role(c.relowner, 'usage')`,
		what: "{role} does not own {count} tables, among them {example}",
		mend: "REASSIGN OWNED BY the present owner TO {role}, or GRANT the present owner TO {role}",
	},
	{
		query: `select count(*), '' from pg_namespace where nspname = 'public' and not has_schema_privilege(oid, 'create')`,
		what:  "{role} may not create tables in the schema public",
		mend:  "GRANT CREATE ON SCHEMA public TO {role}",
	},
	{
		query: `select count(*), '' from pg_database
			where datname = {database} and not has_database_privilege(oid, 'create')`,
		what: "{role} may not create a schema in the database",
		mend: "GRANT CREATE ON DATABASE {database} TO {role}",
	},
}

// needs returns what a purpose needs.
func (p Purpose) needs() []need {
	switch p {
	case ForBackup:
		return backupNeeds
	case ForStage:
		return renameNeeds
	case ForSwap:
		return slices.Concat(renameNeeds, swapNeeds)
	case ForMigrate:
		return migrateNeeds
	}
	return nil
}

// permitted fails if the role of conn lacks a privilege that one of the purposes
// needs. All that are missing are in the one error. For staging and swapping,
// conn may be connected to another database than the one that is named.
func permitted(ctx context.Context, conn *pgx.Conn, database string, purposes ...Purpose) error {
	var lacks []lack
	seen := map[lack]bool{}
	for _, p := range purposes {
		for _, n := range p.needs() {
			missing, err := n.ask(ctx, conn, database)
			if err != nil {
				return err
			}
			if missing != (lack{}) && !seen[missing] {
				seen[missing] = true
				lacks = append(lacks, missing)
			}
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	var what, mend []string
	for _, l := range lacks {
		what, mend = append(what, l.what), append(mend, l.mend)
	}
	return task.Hint(errors.New(strings.Join(what, "; ")), "as a superuser: "+strings.Join(mend, "; "))
}

func (n need) ask(ctx context.Context, conn *pgx.Conn, database string) (lack, error) {
	var (
		count         int
		example, role string
	)
	query := strings.ReplaceAll(n.query, "{database}", literal(database))
	if err := conn.QueryRow(ctx, query).Scan(&count, &example); err != nil {
		return lack{}, fmt.Errorf("look at the privileges: %w", err)
	}
	if count == 0 {
		return lack{}, nil
	}
	if err := conn.QueryRow(ctx, "select current_user::text").Scan(&role); err != nil {
		return lack{}, fmt.Errorf("look at the privileges: %w", err)
	}
	what := strings.NewReplacer("{count}", strconv.Itoa(count), "{example}", example, "{role}", "role "+role)
	mend := strings.NewReplacer("{role}", quote(role), "{database}", quote(database))
	return lack{what.Replace(n.what), mend.Replace(n.mend)}, nil
}
