create table public.codes (code text);
alter table public.codes alter column code set not null;
