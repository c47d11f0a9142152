-- atlas:txmode none

begin;
create table public.rooms (id bigint);
commit;
vacuum public.beds;
