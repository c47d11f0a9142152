alter type public.kind add value if not exists 'c';
