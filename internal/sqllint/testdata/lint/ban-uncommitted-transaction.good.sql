-- atlas:txmode none

start transaction;
create table public.rooms (id bigint);
commit;
