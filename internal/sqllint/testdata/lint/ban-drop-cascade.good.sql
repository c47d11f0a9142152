drop view public.load;
