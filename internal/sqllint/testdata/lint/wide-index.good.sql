-- atlas:txmode none

create index concurrently fit on public.beds (a, coalesce(b, c, d)) include (e);
create unique index concurrently key on public.beds (a, b, c, d);
