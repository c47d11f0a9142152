-- atlas:txmode none

create unique index concurrently beds_code on public.beds (code);
