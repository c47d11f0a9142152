create table public.rooms (at timestamptz, then timestamp with time zone);
