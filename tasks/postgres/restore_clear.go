package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/runner/task"
)

// drops are queries for the statements that leave of a database what a new one
// has, and its extensions. Event triggers go first, so that
// they do not fire at the rest, and default privileges next: whatever is created
// would get them.
var drops = slices.Concat([]string{
	`select format('drop event trigger if exists %I', evtname) from pg_event_trigger e
	  where not exists (select from pg_depend d where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')`,
	`select format('drop publication if exists %I', pubname) from pg_publication`,
}, resetDefaults, []string{
	`select format('drop schema if exists %I cascade', nspname) from pg_namespace n
	  where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
	    and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
	    and not exists (select from pg_extension x where x.extnamespace = n.oid)`,
	`select format('drop %s if exists %I.%I cascade',
	               case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end,
	               n.nspname, c.relname)
	   from pg_class c join pg_namespace n on n.oid = c.relnamespace
	  where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and ` + ordinary + `
	    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i' and c.relkind = 'S')`, // an identity column's goes with its table
	`select format('drop routine if exists %s cascade', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind <> 'a'
	    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))`,
	`select format('drop aggregate if exists %s cascade', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind = 'a'
	    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))`,
	`select format('drop type if exists %I.%I cascade', n.nspname, t.typname) from pg_type t join pg_namespace n on n.oid = t.typnamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and t.typtype in ('e', 'd', 'r', 'c', 'b')
	    and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype in ('e', 'i'))`,
	dropOthers,
	`select format('select lo_unlink(%s)', oid) from pg_largeobject_metadata`,
	// Rows that an extension keeps for the application are in the backup.
	`select format('delete from only %s %s', config.oid::regclass, config.condition)
	   from pg_extension, unnest(extconfig, extcondition) config(oid, condition) join pg_class c using (oid) where c.relkind <> 'S'`,
})

// dropOthers is for the kinds that are dropped by the words and the name that
// the server itself has for them.
const dropOthers = `select format('drop %s if exists %s cascade', replace(i.type, 'foreign-data', 'foreign data'), replace(i.identity, ' on language ', ' language '))
	from (select 'pg_operator'::regclass, oid from pg_operator union all
	      select 'pg_cast'::regclass, oid from pg_cast union all
	      select 'pg_transform'::regclass, oid from pg_transform union all
	      select 'pg_opclass'::regclass, oid from pg_opclass union all
	      select 'pg_opfamily'::regclass, oid from pg_opfamily union all
	      select 'pg_am'::regclass, oid from pg_am union all
	      select 'pg_language'::regclass, oid from pg_language union all
	      select 'pg_conversion'::regclass, oid from pg_conversion union all
	      select 'pg_collation'::regclass, oid from pg_collation union all
	      select 'pg_ts_config'::regclass, oid from pg_ts_config union all
	      select 'pg_ts_dict'::regclass, oid from pg_ts_dict union all
	      select 'pg_ts_template'::regclass, oid from pg_ts_template union all
	      select 'pg_ts_parser'::regclass, oid from pg_ts_parser union all
	      select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext union all
	      select 'pg_foreign_server'::regclass, oid from pg_foreign_server union all
	      select 'pg_foreign_data_wrapper'::regclass, oid from pg_foreign_data_wrapper) o(catalog, oid),
	     pg_identify_object(o.catalog, o.oid, 0) i
	where o.oid >= 16384 and coalesce(i.schema, '') !~ '^pg_'
	  and not exists (select from pg_depend d where d.classid = o.catalog and d.objid = o.oid and d.deptype = 'e')`

// dropExtensions is for the extensions that are not among the backup's.
const dropExtensions = `select format('drop extension if exists %I cascade', extname) from pg_extension where format('%I', extname) <> all($1)`

// ensurePublic makes the schema public, which is in no archive, if the database
// had it, and drops it if not.
const ensurePublic = `select case when $1 then 'create schema public' else 'drop schema public cascade' end
	where $1 <> exists (select from pg_namespace where nspname = 'public')`

// to is who has a privilege, as a statement names them.
const to = `case a.grantee when 0 then 'public' else a.grantee::regrole::text end`

// resetDefaults are for the default privileges: they are taken from everybody,
// which leaves nothing of those for one schema, and given to whom the server
// gives them where nobody has changed them.
var resetDefaults = []string{
	`select distinct format('alter default privileges for role %s %s revoke all on %s from %s cascade',
	                        d.defaclrole::regrole, 'in schema ' || d.defaclnamespace::regnamespace, d.kind, ` + to + `)
	   from ` + defaults + `, aclexplode(d.defaclacl) a`,
	`select format('alter default privileges for role %s grant %s on %s to %s', d.defaclrole::regrole, a.privilege_type, d.kind, ` + to + `)
	   from ` + defaults + `, aclexplode(acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole)) a
	  where d.defaclnamespace is null`,
}

const defaults = `(select defaclrole, defaclobjtype, defaclacl, nullif(defaclnamespace, 0) as defaclnamespace,
		case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
		                   when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end as kind
	from pg_default_acl) d`

// resetSchemas are for the schemas that are not dropped: public and those in
// which an extension is. A backup has what makes them differ from new ones: the
// owner of public, who may use a schema, and the comment on it.
var resetSchemas = []string{
	`select 'alter schema public owner to pg_database_owner' from pg_namespace
	  where nspname = 'public' and nspowner <> 'pg_database_owner'::regrole`,
	`select distinct format('revoke all on schema %I from %s cascade', n.nspname, ` + to + `)
	   from ` + remaining + `, aclexplode(n.nspacl) a where n.nspacl is distinct from n.usual`,
	`select format('grant %s on schema %I to %s', a.privilege_type, n.nspname, ` + to + `)
	   from ` + remaining + `, aclexplode(n.usual) a where n.nspacl is distinct from n.usual`,
	`select format('comment on schema %I is %L', n.nspname, case n.nspname when 'public' then 'standard public schema' end)
	   from ` + remaining,
}

const remaining = `(select oid, nspname, nspacl,
		acldefault('n', nspowner) || case nspname when 'public' then array[makeaclitem(0, nspowner, 'USAGE', false)] else '{}' end as usual
	from pg_namespace n
	where nspname !~ '^pg_' and nspname <> 'information_schema'
	  and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')) n`

// clear drops what is in the database. Each kind is listed when those before it
// are gone, since much goes with them.
func (r *replacing) clear(ctx context.Context) (err error) {
	for _, query := range drops {
		if err := r.carryOut(ctx, query); err != nil {
			return err
		}
	}
	if err := r.carryOut(ctx, dropExtensions, r.had("extension")); err != nil {
		return err
	}
	if err := r.carryOut(ctx, ensurePublic, slices.Contains(r.had("schema"), "public")); err != nil {
		return err
	}
	for _, query := range resetSchemas {
		if err := r.carryOut(ctx, query); err != nil {
			return err
		}
	}
	r.remaining, err = r.names(ctx, "select format('%I', n.nspname) from "+remaining)
	return err
}

// had lists the objects of a kind that the database had when it was backed up.
func (r *replacing) had(kind string) []string {
	list := []string{}
	for _, o := range r.metadata.Objects {
		if o.Kind == kind {
			list = append(list, o.Name)
		}
	}
	return list
}

// carryOut carries out the statements that a query returns.
func (r *replacing) carryOut(ctx context.Context, query string, args ...any) error {
	statements, err := r.names(ctx, query, args...)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := r.conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return task.Hint(fmt.Errorf("%s: %w", statement, err),
				"stop whoever uses the database; connect as the role that owns what is in it, or as a superuser")
		}
	}
	return nil
}

func (r *replacing) names(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := r.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list what is in the database: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list what is in the database: %w", err)
	}
	return list, nil
}
