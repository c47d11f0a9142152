begin;
create table public.rooms (id bigint);
commit;
prepare transaction 'rooms';
