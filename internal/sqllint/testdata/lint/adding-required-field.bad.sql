alter table public.beds add column code text not null;
alter table public.beds add column kind bigint not null default null, add column size bigint default (null::bigint) not null;
