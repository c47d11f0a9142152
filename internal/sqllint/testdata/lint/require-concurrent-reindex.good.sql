-- atlas:txmode none

reindex index concurrently public.beds_ward;
