alter tabel public.users add column nickname text;
alter table public.users add column a text, dorp column b;
udpate public.users set nickname = name where id = 1;
\connect other
;
create "user";
drop;
select count(*) from public.users where (id = 1;
select 1);
comment on column public.users.nickname is 'the nurse's name';
drop tabel public.users; -- within the last quote, for all that can be told
