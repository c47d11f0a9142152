create table public.rooms (id bigserial primary key);
