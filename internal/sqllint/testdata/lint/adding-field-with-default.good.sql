alter table public.beds add column at timestamptz not null default now();
alter table public.beds add column price numeric(10, 2) default 0;
alter table public.beds alter column code set default gen_random_uuid();
alter table public.beds add column ward int default 1 references public.wards (id);
alter table public.beds add column age int default 1 check (age < least(100, 120));
