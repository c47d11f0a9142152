copy public.kinds (id, name) from stdin;
