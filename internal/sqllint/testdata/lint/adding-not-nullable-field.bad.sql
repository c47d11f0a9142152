alter table public.beds alter column code set not null;
