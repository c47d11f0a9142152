truncate table only public.beds;
