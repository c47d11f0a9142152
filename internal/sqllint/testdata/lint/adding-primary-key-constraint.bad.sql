alter table public.beds add primary key (id);
