alter table public.beds disable trigger all;
