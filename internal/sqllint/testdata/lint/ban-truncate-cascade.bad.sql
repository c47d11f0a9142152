truncate public.wards cascade;
