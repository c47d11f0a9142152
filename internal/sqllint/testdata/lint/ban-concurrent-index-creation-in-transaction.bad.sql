create index concurrently beds_ward on public.beds (ward);
reindex (verbose, concurrently) index public.beds_ward;
