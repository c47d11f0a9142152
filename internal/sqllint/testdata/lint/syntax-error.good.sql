(select 1) union (values (2));
with r as (select 1) table r;
create rule no_delete as on delete to public.users do instead (
  insert into public.log (what) values ('delete)');
  notify users;
);
create or replace function public.f() returns int language sql begin atomic select case when true then 1 end; select 2; end;
do $body$ begin perform '('; end $body$;
comment on table public.users is E'it\'s (';
/* a comment /* in ( another */ ' */
alter text search dictionary public.d (stopwords = 'x');
create temp table t (id bigint);
create unlogged table public.u (id bigint);
create foreign data wrapper w;
drop access method if exists m;
alter default privileges in schema public grant select on tables to reader;
import foreign schema public from server s into public;
security label on table public.users is 'x';
alter table public.t no inherit public.u, cluster on t_pkey, replica identity full, not of, owner to reader, force row level security, options (set a $$b$$);
