alter table public.beds add column code text not null default '';
alter table public.beds add column note text;
