package pg

import (
	"fmt"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// A kind of objects, and the query for them: a name and what is compared.
// In it {acl COLUMN CODE OWNER} is an object's privileges, its default ones where
// it has no others, and {own CATALOG OID} holds that it belongs to no extension.
type kind struct{ kind, query string }

// application is the condition for a schema that is not the system's.
const ownSchema = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`

var (
	aclMacro = pattern.Lazy(`\{acl (\S+) (\S+) (\S+)\}`)
	ownMacro = pattern.Lazy(`\{own (\S+) (\S+)\}`)
)

func (k kind) sql() string {
	query := aclMacro().ReplaceAllString(k.query, `array_to_string(array(
		select distinct concat_ws(' ', p.grantee::regrole, p.privilege_type, p.is_grantable) collate "C"
		  from aclexplode(coalesce($1, acldefault($2::"char", $3))) p order by 1), ', ')`)
	query = ownMacro().ReplaceAllString(query, `not exists (
		select from pg_depend e where e.classid = '$1'::regclass and e.objid = $2 and e.objsubid = 0 and e.deptype = 'e')`)
	return fmt.Sprintf("select name::text, coalesce(definition, '')::text from (%s) objects(name, definition)", query)
}

// relations lists relations of some kinds with what all of them have.
func relations(name, relkinds, code, more string) kind {
	return kind{name, `
		select format('%I.%I', n.nspname, c.relname), concat_ws(' | ', c.relkind, c.relpersistence, c.relowner::regrole,
		       {acl c.relacl ` + code + ` c.relowner}, c.reloptions, ` + more + `)
		  from pg_class c join pg_namespace n on n.oid = c.relnamespace
		 where c.relkind in (` + relkinds + `) and c.relpersistence <> 't' and ` + ownSchema + ` and {own pg_class c.oid}`}
}

var kinds = []kind{
	relations("table", "'r', 'p'", "'r'", `c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
		pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
		(select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid)`),
	relations("view", "'v', 'm'", "'r'", "pg_get_viewdef(c.oid), c.relispopulated"),
	relations("foreign table", "'f'", "'r'", `(select concat_ws(' ', s.srvname, f.ftoptions)
		from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid)`),
	relations("composite type", "'c'", "'r'", "''"),
	relations("sequence", "'S'", "'s'", `(select concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
			from pg_sequence s where s.seqrelid = c.oid),
		(select string_agg(format('%s %s', d.refobjid::regclass, d.refobjsubid), ', ')
		   from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0)`),
	{"column", `
		select format('%I.%I.%I', n.nspname, c.relname, a.attname), concat_ws(' | ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
		       pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity, a.attstorage, coalesce(a.attstattarget, -1), a.attoptions,
		       a.attfdwoptions, nullif(a.attcollation, 0)::regcollation,
		       array(select distinct concat_ws(' ', p.grantee::regrole, p.privilege_type, p.is_grantable) collate "C" from aclexplode(a.attacl) p order by 1))
		  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
		  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		 where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relpersistence <> 't'
		   and ` + ownSchema + ` and {own pg_class c.oid}`},
	// pg_dump leaves out an index that is not valid, which no query uses.
	{"index", `
		select i.indexrelid::regclass, concat_ws(' | ', pg_get_indexdef(i.indexrelid), i.indisclustered, i.indisreplident)
		  from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
		 where i.indisvalid and c.relpersistence <> 't' and ` + ownSchema + ` and {own pg_class i.indrelid}`},
	// The server derives a foreign key from another one for each partition, under a
	// name that depends on the order in which these were made.
	{"constraint", `
		select format('%I on %s', k.conname, case k.conrelid when 0 then k.contypid::regtype::text else k.conrelid::regclass::text end),
		       concat_ws(' | ', pg_get_constraintdef(k.oid), k.convalidated)
		  from pg_constraint k join pg_namespace n on n.oid = k.connamespace
		  left join pg_class c on c.oid = k.conrelid
		 where k.contype <> 't' and not (k.contype = 'f' and k.conparentid <> 0) and coalesce(c.relpersistence, 'p') <> 't' and ` + ownSchema + `
		   and {own pg_class k.conrelid} and {own pg_type k.contypid}`},
	// A range type's constructors, of whose privileges a dump has none, go with it.
	{"function", `
		select p.oid::regprocedure, concat_ws(' | ', p.prokind, p.proowner::regrole, {acl p.proacl 'f' p.proowner},
		       case when p.prokind = 'a' then (select concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggtranstype::regtype, g.agginitval)
		                                         from pg_aggregate g where g.aggfnoid = p.oid)
		            else pg_get_functiondef(p.oid) end)
		  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ` + ownSchema + ` and {own pg_proc p.oid}
		   and not exists (select from pg_depend i where i.classid = 'pg_proc'::regclass and i.objid = p.oid and i.deptype = 'i')`},
	{"trigger", `
		select format('%I on %s', t.tgname, t.tgrelid::regclass), concat_ws(' | ', pg_get_triggerdef(t.oid), t.tgenabled)
		  from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
		 where not t.tgisinternal and c.relpersistence <> 't' and ` + ownSchema},
	{"event trigger", `
		select format('%I', t.evtname), concat_ws(' | ', t.evtevent, t.evtowner::regrole, t.evtfoid::regprocedure, t.evtenabled, t.evttags)
		  from pg_event_trigger t where {own pg_event_trigger t.oid}`},
	{"rule", `
		select format('%I on %s', r.rulename, r.ev_class::regclass), concat_ws(' | ', pg_get_ruledef(r.oid), r.ev_enabled)
		  from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
		 where r.rulename <> '_RETURN' and ` + ownSchema},
	{"policy", `
		select format('%I on %s', p.polname, p.polrelid::regclass), concat_ws(' | ', p.polcmd, p.polpermissive,
		       array(select r::regrole::text collate "C" from unnest(p.polroles) r order by 1),
		       pg_get_expr(p.polqual, p.polrelid), '|', pg_get_expr(p.polwithcheck, p.polrelid))
		  from pg_policy p`},
	{"type", `
		select t.oid::regtype, concat_ws(' | ', t.typtype, t.typowner::regrole, {acl t.typacl 'T' t.typowner}, t.typdefault, t.typnotnull,
		       case t.typbasetype when 0 then '' else format_type(t.typbasetype, t.typtypmod) end,
		       (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
		       (select r.rngsubtype::regtype from pg_range r where r.rngtypid = t.oid))
		  from pg_type t join pg_namespace n on n.oid = t.typnamespace
		 where t.typtype in ('d', 'e', 'r') and ` + ownSchema + ` and {own pg_type t.oid}`},
	{"schema", `
		select format('%I', n.nspname), concat_ws(' | ', n.nspowner::regrole, {acl n.nspacl 'n' n.nspowner})
		  from pg_namespace n where ` + ownSchema + ` and {own pg_namespace n.oid}`},
	{"default privileges", `
		select concat_ws(' ', d.defaclrole::regrole, n.nspname, d.defaclobjtype),
		       array(select distinct concat_ws(' ', p.grantee::regrole, p.privilege_type, p.is_grantable) collate "C" from aclexplode(d.defaclacl) p order by 1)::text
		  from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace`},
	{"extension", `
		select format('%I', e.extname), concat_ws(' ', e.extversion, n.nspname)
		  from pg_extension e join pg_namespace n on n.oid = e.extnamespace`},
	{"statistics", `
		select format('%I.%I', n.nspname, s.stxname), concat_ws(' | ', pg_get_statisticsobjdef(s.oid), s.stxowner::regrole)
		  from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where ` + ownSchema},
	{"publication", `
		select format('%I', p.pubname), concat_ws(' | ', p.pubowner::regrole, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
		       (select string_agg(format('%I.%I %s %s', t.schemaname, t.tablename, to_jsonb(t) ->> 'attnames', to_jsonb(t) ->> 'rowfilter'), ', ' order by t.schemaname collate "C", t.tablename collate "C")
		          from pg_publication_tables t where t.pubname = p.pubname))
		  from pg_publication p`},
	{"subscription", `
		select format('%I', s.subname), concat_ws(' | ', s.subowner::regrole, s.subpublications)
		  from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = current_database()`},
	{"foreign data wrapper", `
		select format('%I', w.fdwname), concat_ws(' | ', w.fdwowner::regrole, w.fdwhandler::regproc, w.fdwoptions, {acl w.fdwacl 'F' w.fdwowner})
		  from pg_foreign_data_wrapper w where {own pg_foreign_data_wrapper w.oid}`},
	{"foreign server", `
		select format('%I', s.srvname), concat_ws(' | ', s.srvowner::regrole, w.fdwname, s.srvtype, s.srvversion, s.srvoptions, {acl s.srvacl 'S' s.srvowner})
		  from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw where {own pg_foreign_server s.oid}`},
	{"user mapping", `select format('%I at %I', m.usename, m.srvname), '' from pg_user_mappings m`},
	{"comment", `
		select concat_ws(' ', 'on', i.type, i.identity), d.description
		  from pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
		 where (d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass and i.identity = 'public') and coalesce(i.schema, '') !~ '^pg_'`},
	{"database", `
		select 'itself', concat_ws(' | ', d.datdba::regrole, {acl d.datacl 'd' d.datdba}, d.datconnlimit, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
		       shobj_description(d.oid, 'pg_database'))
		  from pg_database d where d.datname = current_database()`},
	{"setting", `
		select concat_ws(' ', split_part(entry, '=', 1), 'of', case s.setrole when 0 then 'all roles' else s.setrole::regrole::text end), entry
		  from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) entry where d.datname = current_database()`},
	{"privileges on large objects", `
		select 'all', sum(hashtextextended(concat_ws(' | ', l.oid, l.lomowner::regrole, {acl l.lomacl 'L' l.lomowner}), 0)::numeric)::text
		  from pg_largeobject_metadata l`},
	{"other object", `
		select concat_ws(' ', i.type, i.identity), o.owner::regrole::text
		  from (select 'pg_operator'::regclass, oid, oprowner from pg_operator union all
		        select 'pg_cast'::regclass, oid, 0 from pg_cast union all
		        select 'pg_collation'::regclass, oid, collowner from pg_collation union all
		        select 'pg_conversion'::regclass, oid, conowner from pg_conversion union all
		        select 'pg_opclass'::regclass, oid, opcowner from pg_opclass union all
		        select 'pg_opfamily'::regclass, oid, opfowner from pg_opfamily union all
		        select 'pg_ts_config'::regclass, oid, cfgowner from pg_ts_config union all
		        select 'pg_ts_dict'::regclass, oid, dictowner from pg_ts_dict union all
		        select 'pg_language'::regclass, oid, lanowner from pg_language union all
		        select 'pg_transform'::regclass, oid, 0 from pg_transform union all
		        select 'pg_am'::regclass, oid, 0 from pg_am) o(catalog, oid, owner),
		       pg_identify_object(o.catalog, o.oid, 0) i
		 where o.oid >= 16384 and coalesce(i.schema, '') !~ '^pg_'
		   and not exists (select from pg_depend e where e.classid = o.catalog and e.objid = o.oid and e.deptype = 'e')`},
}
