create table public.scratch (id bigint);
drop table public.scratch;
