update public.beds set code = 'x';
delete from public.log;
