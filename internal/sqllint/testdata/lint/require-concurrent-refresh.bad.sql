refresh materialized view public.load;
