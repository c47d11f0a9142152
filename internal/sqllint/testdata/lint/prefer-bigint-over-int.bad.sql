create table public.rooms (id int primary key, n integer not null);
