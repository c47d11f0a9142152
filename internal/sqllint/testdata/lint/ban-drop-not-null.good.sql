alter table public.beds alter column code drop default;
