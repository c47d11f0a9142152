-- atlas:txmode none

create index concurrently beds_ward on public.beds (ward);
create table public.rooms (id bigint);
