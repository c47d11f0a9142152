alter table public.beds drop column code, drop if exists note cascade;
