begin;
create table public.rooms (id bigint);
commit;
