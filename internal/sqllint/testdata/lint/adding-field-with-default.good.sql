alter table public.beds add column at timestamptz not null default now();
alter table public.beds add column price numeric(10, 2) default 0;
alter table public.beds alter column code set default gen_random_uuid();
