alter table public.beds add column a text;
alter table public.beds add column b text;
create table public.rooms (id bigint);
alter table public.rooms add column c text;
