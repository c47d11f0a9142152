create table public.rooms (at timestamp not null, then timestamp without time zone);
