update public.beds set code = 'x' where id between 1 and 1000;
insert into public.kinds values (1);
