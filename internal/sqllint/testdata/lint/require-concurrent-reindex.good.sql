-- atlas:txmode none

reindex index concurrently public.beds_ward;
reindex (concurrently, verbose) index public.beds_ward;
