alter table public.beds add column a text;
alter table public.wards add column b text;
