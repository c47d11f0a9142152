create table public.rooms (id bigint primary key);
