-- atlas:txmode none

create unique index concurrently on public.beds (ward);
