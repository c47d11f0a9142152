alter table public.beds add column label text;
