alter table public.beds add column code uuid default gen_random_uuid();
alter table public.beds add column at timestamptz not null default clock_timestamp();
