alter type public.kind add value 'c' after 'b';
comment on type public.kind is 'a, b and c';
