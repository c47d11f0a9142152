create table public.rooms (id bigint);
lock table public.rooms;
