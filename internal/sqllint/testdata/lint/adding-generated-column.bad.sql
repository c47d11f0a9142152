alter table public.beds add column label text generated always as (code || name) stored;
