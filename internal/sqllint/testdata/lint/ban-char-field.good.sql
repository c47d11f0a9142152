create table public.rooms (code text check (length(code) = 3), "char" text);
