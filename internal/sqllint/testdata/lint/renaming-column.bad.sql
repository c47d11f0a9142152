alter table public.beds rename column code to label;
alter table public.beds rename name to title;
