alter table public.beds set (fillfactor = 90);
vacuum (analyze) public.beds;
