alter table public.beds add column code text not null default '';
alter table public.beds add column note text;
alter table public.beds add column kind bigint not null default nullif(1, 2);
