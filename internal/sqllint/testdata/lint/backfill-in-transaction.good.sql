create table public.rooms (id bigint);
insert into public.rooms select id from public.beds;
update public.beds set code = 'x' where id < 1000;
