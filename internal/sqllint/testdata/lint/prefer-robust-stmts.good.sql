-- atlas:txmode none

create table if not exists public.rooms (id bigint);
drop view if exists public.load;
