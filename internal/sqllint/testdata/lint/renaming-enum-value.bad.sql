alter type public.kind rename value 'a' to 'b';
