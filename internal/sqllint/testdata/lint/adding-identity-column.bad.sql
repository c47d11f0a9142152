alter table public.beds add column n bigint generated always as identity;
alter table public.beds add column m bigserial;
