alter type public.kind add value 'b' after 'a';
