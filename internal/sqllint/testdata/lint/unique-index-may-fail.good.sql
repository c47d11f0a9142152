create table public.rooms (code text);
create unique index rooms_code on public.rooms (code);
