-- atlas:txmode none

create index concurrently beds_ward on public.beds (ward);
