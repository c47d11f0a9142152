refresh materialized view concurrently public.load;
refresh materialized view public.empty with no data;
