create table public.rooms (code char(3));
