drop table if exists public.beds;
