-- atlas:txmode none

begin;
create table public.wards (id bigint);
prepare transaction 'wards';
begin;
create table public.rooms (id bigint);
