create table public.rooms (id text);
alter table public.rooms alter column id type bigint using id::bigint;
