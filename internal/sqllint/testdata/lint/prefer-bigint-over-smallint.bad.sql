alter table public.beds add column n smallint;
