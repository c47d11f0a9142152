drop table if exists public.beds;
create table a.wards (id bigint);
drop table public.wards;
