update public.beds set code = 'x' where id between 1 and 1000;
insert into public.kinds values (1);
with old (id) as (select id from public.log where at < now()) delete from public.users where id in (select id from old limit 1000);
with held as (select id from public.beds) select * from held for update;
merge into public.kinds k using public.names n on n.id = k.id when not matched then insert values (n.id);
