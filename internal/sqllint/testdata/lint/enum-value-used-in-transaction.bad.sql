alter type public.kind add value 'c' after 'b';
insert into public.kinds values ('c');
