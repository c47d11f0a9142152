create table public.rooms (id bigint, note text);
alter table public.rooms drop column note;
