-- atlas:txmode none

create table if not exists public.rooms (id bigint);
create index concurrently beds_ward on public.beds (ward);
