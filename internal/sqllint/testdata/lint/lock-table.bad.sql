lock table public.beds in share mode;
