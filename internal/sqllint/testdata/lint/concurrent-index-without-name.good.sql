-- atlas:txmode none

create unique index concurrently beds_ward on public.beds (ward);
