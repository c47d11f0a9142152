alter table public.beds add column code text;
update public.beds set code = 'x' where id < 1000;
