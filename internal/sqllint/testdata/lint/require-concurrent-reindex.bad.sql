reindex index public.beds_ward;
reindex (concurrently false) index public.beds_ward;
