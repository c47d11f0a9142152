drop table if exists public.beds;
create table a.wards (id bigint);
drop table public.wards;
create table if not exists public.users (id bigint);
drop table public.users;
