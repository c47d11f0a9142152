alter table public.beds set unlogged;
cluster public.beds using beds_pkey;
