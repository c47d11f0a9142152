create table public.rooms (name varchar(100), note character varying(20));
