reindex index public.beds_ward;
