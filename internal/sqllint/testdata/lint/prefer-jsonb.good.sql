alter table public.beds add column doc jsonb;
