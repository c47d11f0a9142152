create table public.rooms (name text, other varchar);
