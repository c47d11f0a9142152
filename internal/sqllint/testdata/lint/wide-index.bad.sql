-- atlas:txmode none

create index concurrently wide on public.beds (a, b, c, lower(d));
