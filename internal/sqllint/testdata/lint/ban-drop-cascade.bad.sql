drop view public.load cascade;
