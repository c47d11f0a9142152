create table public.scratch (id bigint);
truncate public.scratch;
