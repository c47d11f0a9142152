alter type public.kind add value 'c' before 'b';
