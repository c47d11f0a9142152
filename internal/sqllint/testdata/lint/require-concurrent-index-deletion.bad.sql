drop index public.beds_ward;
