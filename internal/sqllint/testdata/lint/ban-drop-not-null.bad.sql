alter table public.beds alter column code drop not null;
